"""What the ledger promises when Redis is frozen, killed, full, or a request goes away in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.adapters.redis_client import RedisClient, connect
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.breaker import Breaker
from gateway.core.budget import NOTHING, Amount, Bid
from gateway.core.errors import LedgerUnavailable
from gateway.core.events import Degraded, Recovered
from gateway.ports import Hold
from tests.fixtures.ledger import LEASE_S, SEARCH, UNLIMITED, bid, sums
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S, Valkey


@pytest.fixture
async def broken(
    own_valkey: Callable[..., Valkey], hand_clock: HandClock, told: EventList
) -> AsyncIterator[tuple[Valkey, RedisClient, RedisLedger]]:
    """A server for a test to break, and a ledger with the waits of production."""
    valkey = own_valkey("--appendonly", "yes", "--appendfsync", "everysec")
    client = connect(valkey.url)
    yield valkey, client, RedisLedger(client, hand_clock, told, lease_s=LEASE_S, breaker=Breaker(open_s=1.0))
    await client.aclose()


async def held(ledger: RedisLedger, id: str, amount: Amount) -> Hold:
    """A loaded machine may be slower than 50 ms: ask until it is granted."""
    while True:
        try:
            return await ledger.hold(f"{id}-{object()}", SEARCH, Bid(amount))
        except LedgerUnavailable:
            await ledger.flush()


async def flushed(ledger: RedisLedger, clock: HandClock) -> None:
    while not await ledger.flush():
        clock.now_s += 1.0


async def test_a_frozen_redis_closes_hard_budgets_and_is_told_once(
    broken: tuple[Valkey, RedisClient, RedisLedger], told: EventList
) -> None:
    valkey, _, ledger = broken
    valkey.freeze()
    for number in range(20):
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger.hold(str(number), SEARCH, bid(1))
        assert (caught.value.retry_after_s or 0) >= 1
    assert [type(event) for event in told.events] == [Degraded]


async def test_a_hold_whose_connection_was_cut_is_asked_for_again_and_made_once(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    hold = await ledger.hold("a", SEARCH, bid(10))
    await redis_client.client_kill_filter(_type="normal", skipme=False)
    await ledger.hold("b", SEARCH, bid(10))
    assert await sums(redis_client, hold) == {"reserved_tokens": 20}


async def test_a_hold_without_an_answer_leaves_nothing_reserved(
    broken: tuple[Valkey, RedisClient, RedisLedger], hand_clock: HandClock
) -> None:
    valkey, client, ledger = broken
    probe = await held(ledger, "probe", NOTHING)
    valkey.freeze()
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a", SEARCH, bid(60))
    valkey.thaw()
    await flushed(ledger, hand_clock)
    assert await sums(client, probe) == {}
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a", SEARCH, bid(60))


async def test_a_cancelled_hold_leaves_nothing_reserved(ledger: RedisLedger, redis_client: RedisClient) -> None:
    probe = await ledger.hold("probe", SEARCH, bid(0))
    for steps in range(30):
        asked = asyncio.create_task(ledger.hold(str(steps), SEARCH, bid(1)))
        for _ in range(steps % 10):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
        if not asked.cancelled():
            await ledger.settle(asked.result(), NOTHING)
    await ledger.flush()
    assert await sums(redis_client, probe) == {}


async def test_what_could_not_be_settled_is_settled_when_redis_is_back(
    broken: tuple[Valkey, RedisClient, RedisLedger], hand_clock: HandClock, told: EventList
) -> None:
    valkey, client, ledger = broken
    hold = await held(ledger, "a", Amount(60))
    unbudgeted = await ledger.hold("b", UNLIMITED, bid(60))
    valkey.freeze()
    await ledger.settle(hold, Amount(10))
    await ledger.settle(hold, Amount(20))
    await ledger.settle(unbudgeted, Amount(7))
    assert not await ledger.flush()
    assert ledger.waiting == 2
    valkey.thaw()
    await flushed(ledger, hand_clock)
    assert await sums(client, hold) == {"settled_tokens": 10}
    assert await sums(client, unbudgeted) == {"settled_tokens": 7}


async def test_services_without_a_budget_go_on_without_redis(
    broken: tuple[Valkey, RedisClient, RedisLedger],
) -> None:
    valkey, _, ledger = broken
    valkey.kill()
    hold = await ledger.hold("a", UNLIMITED, bid(60))
    await ledger.settle(hold, Amount(60))
    assert ledger.waiting == 1
    with pytest.raises(LedgerUnavailable):
        await ledger.standing(UNLIMITED)


async def test_one_flush_writes_what_was_counted_while_an_older_batch_waited(
    broken: tuple[Valkey, RedisClient, RedisLedger], hand_clock: HandClock
) -> None:
    valkey, client, ledger = broken
    valkey.kill()
    for id, tokens in (("a", 60), ("b", 5), ("c", 5)):
        hold = await ledger.hold(id, UNLIMITED, bid(tokens))
        await ledger.settle(hold, Amount(tokens))
        assert not await ledger.flush()
    valkey.start()
    hand_clock.now_s += 2.0
    assert await ledger.flush()
    assert await sums(client, hold) == {"settled_tokens": 70}


async def test_sums_and_leases_survive_kill_9_and_a_restart(
    broken: tuple[Valkey, RedisClient, RedisLedger], hand_clock: HandClock, told: EventList
) -> None:
    valkey, client, ledger = broken
    settled, open_hold = await held(ledger, "a", Amount(30, 300)), await held(ledger, "b", Amount(50, 500))
    await ledger.settle(settled, Amount(20, 200))
    await flushed(ledger, hand_clock)
    before = await sums(client, open_hold)
    valkey.kill()
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("c", SEARCH, bid(1))
    valkey.start()
    await flushed(ledger, hand_clock)
    assert await sums(client, open_hold) == before
    await ledger.settle(open_hold, Amount(40, 400))
    await flushed(ledger, hand_clock)
    assert await sums(client, open_hold) == {"settled_tokens": 60, "settled_nano_usd": 600}


async def test_a_full_redis_refuses_budgets_and_does_not_open_the_breaker(
    own_valkey: Callable[..., Valkey], hand_clock: HandClock, told: EventList
) -> None:
    client = connect(own_valkey("--maxmemory-policy", "noeviction").url, timeout_s=PATIENT_S)
    ledger = RedisLedger(client, hand_clock, told, lease_s=LEASE_S, timeout_s=PATIENT_S)
    hold = await ledger.hold("a", SEARCH, bid(10))
    await client.config_set("maxmemory", "1")
    for number in range(10):
        with pytest.raises(LedgerUnavailable):
            await ledger.hold(str(number), SEARCH, bid(1))
    await ledger.settle(hold, Amount(5))
    assert ledger.waiting == 1
    await client.config_set("maxmemory", "0")
    assert await ledger.flush()
    assert await sums(client, hold) == {"settled_tokens": 5}
    assert told.events == [Degraded("ledger", "write refused: OutOfMemoryError"), Recovered("ledger")]
    await client.aclose()

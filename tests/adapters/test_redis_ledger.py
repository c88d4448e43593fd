from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from gateway.adapters.redis_client import RedisClient, connect
from gateway.adapters.redis_keys import budget_keys
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.breaker import Breaker
from gateway.core.budget import MAX_LIMIT, NOTHING, Amount, Budget, window_named, window_of
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import Degraded, Overshoot, Recovered
from gateway.ports import Hold
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S, Valkey

LEASE_S = 60
# In the future, because keys get a TTL by the server's real clock.
NOON_S = int(datetime(2100, 6, 15, 12, tzinfo=UTC).timestamp())
DAY = Budget("day", tokens=100, nano_usd=1000)
HOUR = Budget("hour", tokens=100)


@pytest.fixture
def server_clock() -> HandClock:
    """What the server believes."""
    return HandClock(NOON_S)


@pytest.fixture
def new_ledger(
    redis_client: RedisClient, hand_clock: HandClock, server_clock: HandClock, told: EventList
) -> Callable[[], RedisLedger]:
    """Ledgers of several gateways on one Redis, which all believe `hand_clock`."""
    hand_clock.now_s = NOON_S
    return lambda: RedisLedger(
        redis_client,
        hand_clock,
        told,
        lease_s=LEASE_S,
        timeout_s=PATIENT_S,
        server_ms=lambda: int(server_clock.now_s * 1000),
    )


@pytest.fixture
def ledger(new_ledger: Callable[[], RedisLedger]) -> RedisLedger:
    return new_ledger()


async def sums(client: RedisClient, hold: Hold) -> dict[str, int]:
    """The four sums as they are in Redis; absent is 0."""
    fields = await client.hgetall(budget_keys(hold.service, window_named(hold.window)).sums)
    return {text(field): int(n) for field, n in fields.items() if int(n)}


def text(reply: bytes | str) -> str:
    return reply if isinstance(reply, str) else reply.decode()


# hold


async def test_a_hold_reserves_and_its_settlement_charges_what_was_used(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    hold = await ledger.hold("a", "search", DAY, Amount(60, 600))
    assert hold == Hold("a", "search", Amount(60, 600), DAY, "day:2100-06-15")
    assert await sums(redis_client, hold) == {"reserved_tokens": 60, "reserved_nano_usd": 600}
    await ledger.settle(hold, Amount(10, 100))
    assert await sums(redis_client, hold) == {"settled_tokens": 10, "settled_nano_usd": 100}
    assert await ledger.spent("search", DAY) == Amount(10, 100)


async def test_of_two_hundred_at_once_exactly_those_that_fit_are_granted(
    new_ledger: Callable[[], RedisLedger], redis_client: RedisClient
) -> None:
    gateways = [new_ledger() for _ in range(3)]
    asked = [gateways[n % 3].hold(str(n), "search", DAY, Amount(10, 100)) for n in range(200)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    holds = [answer for answer in answers if isinstance(answer, Hold)]
    refusals = [answer for answer in answers if isinstance(answer, BudgetExceeded)]
    assert (len(holds), len(refusals)) == (10, 190)
    assert await sums(redis_client, holds[0]) == {"reserved_tokens": 100, "reserved_nano_usd": 1000}


async def test_the_same_hold_again_is_the_same_answer(ledger: RedisLedger, redis_client: RedisClient) -> None:
    once = await ledger.hold("a", "search", DAY, Amount(60, 600))
    assert await ledger.hold("a", "search", DAY, Amount(60, 600)) == once
    assert await sums(redis_client, once) == {"reserved_tokens": 60, "reserved_nano_usd": 600}


async def test_services_do_not_see_each_others_spend(ledger: RedisLedger) -> None:
    await ledger.hold("a", "search", DAY, Amount(100, 0))
    await ledger.hold("a", "support", DAY, Amount(100, 0))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", "search", DAY, Amount(1, 0))


@pytest.mark.parametrize(("amount", "unit"), [(Amount(101, 0), "token budget"), (Amount(100, 1001), "dollar budget")])
async def test_a_refusal_names_the_limit_the_window_and_its_end_and_no_sums(
    ledger: RedisLedger, amount: Amount, unit: str
) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        await ledger.hold("a", "search", DAY, amount)
    assert caught.value.message == (
        f"The {unit} of service 'search' for this day does not cover this request; "
        "the day ends at 2100-06-16T00:00:00Z."
    )
    assert caught.value.retry_after_s == 12 * 3600


async def test_the_largest_limit_is_exact_to_one_nano_dollar(ledger: RedisLedger) -> None:
    budget = Budget("day", nano_usd=MAX_LIMIT)
    await ledger.hold("a", "search", budget, Amount(0, MAX_LIMIT - 1))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", "search", budget, Amount(0, 2))
    await ledger.hold("c", "search", budget, Amount(0, 1))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("d", "search", budget, Amount(0, 1))


async def test_an_id_that_was_settled_cannot_be_held_again(ledger: RedisLedger) -> None:
    await ledger.settle(await ledger.hold("a", "search", DAY, Amount(10)), Amount(10))
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a", "search", DAY, Amount(10))


# settle


async def test_settling_twice_charges_once(ledger: RedisLedger) -> None:
    hold = await ledger.hold("a", "search", DAY, Amount(60))
    await ledger.settle(hold, Amount(10))
    await ledger.settle(hold, Amount(50))
    assert await ledger.spent("search", DAY) == Amount(10)


async def test_settling_what_was_refused_charges_nothing(ledger: RedisLedger) -> None:
    await ledger.settle(Hold("a", "search", Amount(500), DAY, "day:2100-06-15"), Amount(500))
    assert await ledger.spent("search", DAY) == NOTHING


async def test_a_lease_that_ends_unsettled_is_charged_in_full_and_trued_up_by_a_late_settle(
    ledger: RedisLedger, server_clock: HandClock
) -> None:
    hold = await ledger.hold("a", "search", DAY, Amount(60, 600))
    server_clock.now_s += LEASE_S
    assert await ledger.spent("search", DAY) == Amount(60, 600)
    await ledger.settle(hold, Amount(10, 100))
    await ledger.settle(hold, Amount(10, 100))
    assert await ledger.spent("search", DAY) == Amount(10, 100)


async def test_a_settlement_is_charged_to_the_window_of_its_hold(
    ledger: RedisLedger, redis_client: RedisClient, hand_clock: HandClock, server_clock: HandClock
) -> None:
    hold = await ledger.hold("a", "search", HOUR, Amount(60))
    hand_clock.now_s = server_clock.now_s = NOON_S + 3600
    await ledger.settle(hold, Amount(10))
    assert await ledger.spent("search", HOUR) == NOTHING
    assert await sums(redis_client, hold) == {"settled_tokens": 10}


async def test_costing_more_than_was_held_is_told_when_it_passes_the_limit(
    ledger: RedisLedger, told: EventList
) -> None:
    within = await ledger.hold("a", "search", DAY, Amount(10, 900))
    await ledger.settle(within, Amount(20, 900))
    over = await ledger.hold("b", "search", DAY, Amount(80, 50))
    await ledger.settle(over, Amount(90, 50))
    assert told.events == [Overshoot("search", tokens=10, nano_usd=0)]


async def test_an_absurd_count_from_upstream_closes_the_budget_and_breaks_nothing(ledger: RedisLedger) -> None:
    await ledger.settle(await ledger.hold("a", "search", DAY, Amount(10)), Amount(10**30, 10**30))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", "search", DAY, Amount(1))


# windows


async def test_the_servers_clock_decides_the_window(
    ledger: RedisLedger, hand_clock: HandClock, server_clock: HandClock
) -> None:
    hand_clock.now_s = NOON_S + 86_400
    assert (await ledger.hold("a", "search", DAY, Amount(1))).window == "day:2100-06-15"
    server_clock.now_s += 86_400
    assert (await ledger.hold("b", "search", DAY, Amount(1))).window == "day:2100-06-16"


async def test_a_new_window_begins_with_the_whole_budget(
    ledger: RedisLedger, hand_clock: HandClock, server_clock: HandClock
) -> None:
    await ledger.hold("a", "search", HOUR, Amount(100))
    server_clock.now_s = NOON_S + 3599.999
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", "search", HOUR, Amount(1))
    server_clock.now_s = NOON_S + 3600
    await ledger.hold("c", "search", HOUR, Amount(100))


async def test_without_a_test_clock_the_real_server_decides(
    redis_client: RedisClient, hand_clock: HandClock, told: EventList
) -> None:
    ledger = RedisLedger(redis_client, hand_clock, told, lease_s=LEASE_S, timeout_s=PATIENT_S)
    hold = await ledger.hold("a", "search", Budget("month", tokens=10), Amount(1))
    seconds, _ = await redis_client.time()
    assert hold.window in {window_of("month", seconds).id, window_of("month", seconds - 60).id}


# without a budget


async def test_a_service_without_a_budget_is_counted_by_the_month_and_survives_a_restart(
    new_ledger: Callable[[], RedisLedger], redis_client: RedisClient
) -> None:
    before = new_ledger()
    hold = await before.hold("a", "search", None, Amount(10**15, 10**15))
    assert hold.window == "month:2100-06"
    assert not await redis_client.keys()
    for _ in range(3):
        await before.settle(hold, Amount(10**15, 2))
    assert await before.stop()
    assert await new_ledger().spent("search", None) == Amount(3 * 10**15, 6)


async def test_a_monthly_budget_given_in_mid_month_starts_with_what_was_spent(ledger: RedisLedger) -> None:
    await ledger.settle(await ledger.hold("a", "search", None, Amount(60)), Amount(60))
    await ledger.flush()
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", "search", Budget("month", tokens=100), Amount(41))


# keys


async def test_every_key_has_a_ttl_past_its_window(ledger: RedisLedger, redis_client: RedisClient) -> None:
    settled = await ledger.hold("a", "search", DAY, Amount(10, 10))
    await ledger.settle(settled, Amount(20, 20))
    await ledger.hold("b", "search", Budget("minute", tokens=10), Amount(10))
    await ledger.settle(Hold("never held", "support", Amount(), HOUR, window_of("hour", NOON_S).id), Amount(1))
    await ledger.settle(await ledger.hold("c", "chat", None, Amount(10)), Amount(10))
    await ledger.flush()
    keys = [text(key) for key in await redis_client.keys()]
    assert len(keys) == 3 + 3 + 2 + 3
    for key in keys:
        window = window_named(key.partition("}:")[2].rpartition(":")[0])
        assert await redis_client.expiretime(key) > window.end_s


async def test_what_is_remembered_of_old_requests_is_forgotten(
    ledger: RedisLedger, redis_client: RedisClient, server_clock: HandClock
) -> None:
    for number in range(150):
        await ledger.settle(await ledger.hold(str(number), "search", DAY, NOTHING), NOTHING)
    server_clock.now_s += 3600
    await ledger.spent("search", DAY)
    await ledger.spent("search", DAY)
    keys = budget_keys("search", window_of("day", NOON_S))
    assert await redis_client.exists(keys.leases, keys.holds) == 0


# when Redis breaks


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
            return await ledger.hold(f"{id}-{object()}", "search", DAY, amount)
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
            await ledger.hold(str(number), "search", DAY, Amount(1))
        assert (caught.value.retry_after_s or 0) >= 1
    assert [type(event) for event in told.events] == [Degraded]


async def test_a_hold_whose_connection_was_cut_is_asked_for_again_and_made_once(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    hold = await ledger.hold("a", "search", DAY, Amount(10))
    await redis_client.client_kill_filter(_type="normal", skipme=False)
    await ledger.hold("b", "search", DAY, Amount(10))
    assert await sums(redis_client, hold) == {"reserved_tokens": 20}


async def test_a_hold_without_an_answer_leaves_nothing_reserved(
    broken: tuple[Valkey, RedisClient, RedisLedger], hand_clock: HandClock
) -> None:
    valkey, client, ledger = broken
    probe = await held(ledger, "probe", NOTHING)
    valkey.freeze()
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a", "search", DAY, Amount(60))
    valkey.thaw()
    await flushed(ledger, hand_clock)
    assert await sums(client, probe) == {}
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a", "search", DAY, Amount(60))


async def test_a_cancelled_hold_leaves_nothing_reserved(ledger: RedisLedger, redis_client: RedisClient) -> None:
    probe = await ledger.hold("probe", "search", DAY, NOTHING)
    for steps in range(30):
        asked = asyncio.create_task(ledger.hold(str(steps), "search", DAY, Amount(1)))
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
    unbudgeted = await ledger.hold("b", "support", None, Amount(60))
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
    hold = await ledger.hold("a", "search", None, Amount(60))
    await ledger.settle(hold, Amount(60))
    assert ledger.waiting == 1
    with pytest.raises(LedgerUnavailable):
        await ledger.spent("search", None)


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
        await ledger.hold("c", "search", DAY, Amount(1))
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
    hold = await ledger.hold("a", "search", DAY, Amount(10))
    await client.config_set("maxmemory", "1")
    for number in range(10):
        with pytest.raises(LedgerUnavailable):
            await ledger.hold(str(number), "search", DAY, Amount(1))
    await ledger.settle(hold, Amount(5))
    assert ledger.waiting == 1
    await client.config_set("maxmemory", "0")
    assert await ledger.flush()
    assert await sums(client, hold) == {"settled_tokens": 5}
    assert told.events == [Degraded("ledger", "write refused: OutOfMemoryError"), Recovered("ledger")]
    await client.aclose()


async def test_a_script_that_the_server_forgot_is_sent_again(ledger: RedisLedger, redis_client: RedisClient) -> None:
    await ledger.hold("a", "search", DAY, Amount(1))
    await redis_client.script_flush()
    await ledger.hold("b", "search", DAY, Amount(1))

"""A Redis that has lost its memory is told what is known before it grants anything again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_ledger import Rebuild, RedisLedger
from gateway.core.budget import Amount, Budget, Payer
from gateway.core.errors import BudgetExceeded
from gateway.core.window import WindowRule
from gateway.ports import Hold
from tests.fixtures.ledger import DAY, NOON_S, SEARCH, bid, sums
from tests.fixtures.semantic import HandClock

TEAM = Budget("team", WindowRule("month"), tokens=1_000)
OWN = Payer("search", "team", (DAY, TEAM))
OTHER = Payer("support", "team", (replace(DAY, account="support"), TEAM))


async def used(ledger: RedisLedger, payer: Payer) -> list[Amount]:
    return [standing.used for standing in await ledger.standing(payer)]


async def test_what_was_settled_and_reserved_is_still_used_after_it(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    await ledger.settle(await ledger.hold("a", SEARCH, bid(50)), Amount(30))
    held = await ledger.hold("b", SEARCH, bid(40))
    await redis_client.flushall()
    with pytest.raises(BudgetExceeded):
        await ledger.hold("c", SEARCH, bid(31))
    await ledger.hold("d", SEARCH, bid(30))
    await ledger.settle(held, Amount(1))  # nobody remembers what it held: its estimate stands
    assert await sums(redis_client, held) == {"settled_tokens": 70, "reserved_tokens": 30}


async def test_every_budget_that_is_kept_together_is_told_at_once(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    await ledger.hold("a", OWN, bid(60))
    await ledger.hold("b", OTHER, bid(20))
    await redis_client.flushall()
    assert await used(ledger, OWN) == [Amount(60), Amount(80)]
    assert await used(ledger, OTHER) == [Amount(20), Amount(80)]


async def test_a_settlement_that_comes_first_does_not_make_it_forgotten(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    held = await ledger.hold("a", SEARCH, bid(60))
    await redis_client.flushall()
    await ledger.settle(held, Amount(10))
    assert await used(ledger, SEARCH) == [Amount(60)]


async def test_a_second_gateway_adds_only_what_it_knew_better(
    new_ledger: Callable[[], RedisLedger], redis_client: RedisClient
) -> None:
    early, late = new_ledger(), new_ledger()
    await early.hold("a", SEARCH, bid(10))
    await late.hold("b", SEARCH, bid(20))
    await redis_client.flushall()
    await early.hold("c", SEARCH, bid(5))
    assert await used(early, SEARCH) == [Amount(15)]  # it did not know of b
    assert await used(late, SEARCH) == [Amount(35)]
    assert await used(early, SEARCH) == [Amount(35)]


async def test_losing_its_memory_again_loses_nothing_either(ledger: RedisLedger, redis_client: RedisClient) -> None:
    for number in range(3):
        await ledger.hold(str(number), SEARCH, bid(10))
        await redis_client.flushall()
    assert await used(ledger, SEARCH) == [Amount(30)]


async def test_a_window_that_is_over_is_not_told(
    ledger: RedisLedger, redis_client: RedisClient, hand_clock: HandClock, server_clock: HandClock
) -> None:
    await ledger.hold("a", OWN, bid(60))
    await redis_client.flushall()
    hand_clock.now_s = server_clock.now_s = NOON_S + 86_400
    assert await used(ledger, OWN) == [Amount(0), Amount(60)]


async def test_what_slid_out_of_its_window_is_not_told(
    ledger: RedisLedger, redis_client: RedisClient, hand_clock: HandClock, server_clock: HandClock
) -> None:
    minute = Payer("search", "search", (Budget("search", WindowRule("minute", "sliding"), tokens=100),))
    await ledger.hold("a", minute, bid(60))
    await redis_client.flushall()
    hand_clock.now_s = server_clock.now_s = NOON_S + 30
    assert await used(ledger, minute) == [Amount(60)]
    await redis_client.flushall()
    hand_clock.now_s = server_clock.now_s = NOON_S + 30 + 61
    assert await used(ledger, minute) == [Amount(0)]


async def test_two_hundred_at_once_after_it_are_granted_what_is_left_and_no_more(
    new_ledger: Callable[[], RedisLedger], redis_client: RedisClient
) -> None:
    gateways = [new_ledger() for _ in range(3)]
    await gateways[0].hold("before", SEARCH, bid(40))
    for gateway in gateways:
        await gateway.standing(SEARCH)
    await redis_client.flushall()
    asked = [gateways[n % 3].hold(str(n), SEARCH, bid(10)) for n in range(200)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Hold) for answer in answers) == 6
    assert sum(isinstance(answer, BudgetExceeded) for answer in answers) == 194


async def test_fifty_services_of_a_team_may_be_the_first_at_once(
    rebuilding: Callable[[Mapping[str, Amount]], RedisLedger], asked_for: list[Sequence[str]]
) -> None:
    ledger = rebuilding({"team/month:2100-06": Amount(500)})
    payers = [Payer(name, "team", (replace(DAY, account=name), TEAM)) for name in map(str, range(50))]
    holds = await asyncio.gather(*(ledger.hold(payer.name, payer, bid(10)) for payer in payers))
    assert await used(ledger, payers[0]) == [Amount(10), Amount(1_000)]
    assert len(holds) == len(asked_for) == 50
    assert sum("team/month:2100-06" in meters for meters in asked_for) == 1


async def test_a_gateway_that_has_just_started_asks_elsewhere_what_was_used(
    rebuilding: Callable[[Mapping[str, Amount]], RedisLedger],
) -> None:
    books = {"search/day:2100-06-15": Amount(70, 7), "team/month:2100-06": Amount(700)}
    ledger = rebuilding(books)
    assert await used(ledger, OWN) == [Amount(70, 7), Amount(700)]
    assert await used(ledger, OTHER) == [Amount(), Amount(700)]


async def test_each_budget_that_was_lost_is_asked_for_once(
    rebuilding: Callable[[Mapping[str, Amount]], RedisLedger], asked_for: list[Sequence[str]]
) -> None:
    ledger = rebuilding({"support/day:2100-06-15": Amount(5)})
    await ledger.hold("a", OWN, bid(10))
    await ledger.hold("b", OTHER, bid(10))
    await ledger.hold("c", OWN, bid(10))
    assert await used(ledger, OTHER) == [Amount(15), Amount(30)]
    assert asked_for == [["search/day:2100-06-15", "team/month:2100-06"], ["support/day:2100-06-15"]]


async def test_nobody_is_asked_about_a_window_that_begins_later(
    rebuilding: Callable[[Mapping[str, Amount]], RedisLedger],
    asked_for: list[Sequence[str]],
    hand_clock: HandClock,
    server_clock: HandClock,
) -> None:
    ledger = rebuilding({})
    await ledger.hold("a", OWN, bid(10))
    hand_clock.now_s = server_clock.now_s = NOON_S + 86_400
    await ledger.hold("b", OWN, bid(10))
    assert len(asked_for) == 1


@pytest.fixture
def asked_for() -> list[Sequence[str]]:
    """The meters that were asked for elsewhere, call by call."""
    return []


@pytest.fixture
def rebuilding(
    new_ledger: Callable[[], RedisLedger], asked_for: list[Sequence[str]]
) -> Callable[[Mapping[str, Amount]], RedisLedger]:
    """Ledgers that can ask books for what was used."""

    def asking(books: Mapping[str, Amount]) -> Rebuild:
        async def rebuild(tag: str, meters: Sequence[str]) -> Mapping[str, Amount]:
            assert tag == "team"
            asked_for.append(meters)
            return {meter: books[meter] for meter in meters if meter in books}

        return rebuild

    def ledger_with(books: Mapping[str, Amount]) -> RedisLedger:
        ledger = new_ledger()
        ledger.rebuild_by(asking(books))
        return ledger

    return ledger_with

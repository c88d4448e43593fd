"""What a gateway has leased of a budget: nobody can tell from the outside, but Redis, which is asked less often."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from gateway.core.budget import Amount, Budget, Payer
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.window import WindowRule
from gateway.ports import Hold
from tests.fixtures.allotted import Allotted, Gateways, spend
from tests.fixtures.ledger import NOON_S, bid

LIMIT = 1_000_000
OFTEN = 8
LEASED = LIMIT * 8 // 10 // 64
DAY = Budget("search", WindowRule("day"), tokens=LIMIT)
SEARCH = Payer("search", "search", (DAY,))
HOUR_S = 3_600


async def ask_often(ledger: Allotted, payer: Payer = SEARCH, tokens: int = 0) -> None:
    for number in range(OFTEN):
        await spend(ledger, f"often-{random.random()}.{number}", payer, tokens)


async def leasing(gateways: Gateways, payer: Payer = SEARCH) -> Allotted:
    """A gateway that has leased a part for who has asked often."""
    ledger = gateways.new()
    await ask_often(ledger, payer)
    await ledger.asides.exchange_low()
    return ledger


async def calls(gateways: Gateways) -> int:
    stats = await gateways.clients[0].info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


def used(hold: Hold) -> int:
    return hold.standings[0].used.tokens


async def reserved(gateways: Gateways) -> int:
    return (await gateways.sums()).get("reserved_tokens", 0)


async def settled(gateways: Gateways) -> int:
    return (await gateways.sums()).get("settled_tokens", 0)


# who is leased what


async def test_who_asks_often_is_leased_a_part_of_what_is_left_below_the_lowest_rung(gateways: Gateways) -> None:
    await leasing(gateways)
    assert await gateways.sums() == {"reserved_tokens": LEASED}


async def test_who_asks_less_often_is_leased_nothing(gateways: Gateways) -> None:
    ledger = gateways.new()
    for number in range(OFTEN - 1):
        await spend(ledger, f"req.{number}", SEARCH, 1)
    await ledger.asides.put_aside()
    assert (await settled(gateways), await reserved(gateways)) == (OFTEN - 1, 0)


async def test_workers_divide_what_one_gateway_is_leased(gateways: Gateways) -> None:
    ledger = gateways.new(workers=4)
    await ask_often(ledger)
    await ledger.asides.exchange_low()
    assert await reserved(gateways) == LEASED // 4


async def test_near_a_rung_nobody_is_leased_anything(gateways: Gateways) -> None:
    ledger = gateways.new()
    await spend(ledger, "much", SEARCH, LIMIT * 8 // 10)
    await ask_often(ledger)
    await ledger.asides.exchange_low()
    await ledger.asides.put_aside()
    assert await reserved(gateways) == 0


async def test_a_rate_is_never_leased(gateways: Gateways) -> None:
    rate = Budget("search", WindowRule("minute", "sliding"), tokens=LIMIT, rate=True)
    await leasing(gateways, Payer("search", "search", (DAY, rate)))
    assert await reserved(gateways) == 0


async def test_a_soft_budget_is_leased_up_to_its_warning(gateways: Gateways) -> None:
    await leasing(gateways, Payer("search", "search", (replace(DAY, hard=False),)))
    assert await reserved(gateways) == LEASED


# spending it


async def test_redis_is_not_asked_about_what_a_lease_covers(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    before = await calls(gateways)
    for number in range(20):
        await spend(ledger, f"req.{number}", SEARCH, 100)
    assert await calls(gateways) == before
    await ledger.asides.put_aside()
    assert (await settled(gateways), await calls(gateways)) == (2_000, before + 3)


async def test_redis_is_asked_about_what_it_does_not_cover(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    await ledger.hold("a.1", SEARCH, bid(LEASED + 1))
    await ledger.hold("a.2", SEARCH, bid(LEASED))
    assert await reserved(gateways) == LEASED + LEASED + 1


async def test_the_same_id_again_is_the_same_hold(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    hold = await ledger.hold("a.1", SEARCH, bid(LEASED))
    assert await ledger.hold("a.1", SEARCH, bid(LEASED)) == hold
    await ledger.settle(hold, Amount(7))
    await ledger.settle(hold, Amount(7))
    await ledger.asides.put_aside()
    assert await settled(gateways) == 7


async def test_what_a_request_is_told_of_its_budget_is_what_is_used_and_not_what_is_leased(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    await spend(ledger, "a.1", SEARCH, 100)
    assert used(await ledger.hold("a.2", SEARCH, bid(30))) == 130


async def test_a_standing_counts_what_this_gateway_has_leased_and_not_used_as_room(gateways: Gateways) -> None:
    ledger, other = await leasing(gateways), gateways.new()
    await spend(ledger, "a.1", SEARCH, 100)
    (own,), (others,) = await ledger.standing(SEARCH), await other.standing(SEARCH)
    assert (own.used.tokens, others.used.tokens) == (100, LEASED)


async def test_a_lease_that_is_low_is_exchanged_at_once(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    await ledger.hold("flying", SEARCH, bid(LEASED // 2 + 1))
    await ledger.asides.exchange_low()
    left = (LIMIT * 8 // 10 - LEASED) // 64
    assert await reserved(gateways) == left + LEASED // 2 + 1
    await ledger.hold("a.2", SEARCH, bid(left))


async def test_what_was_used_beyond_a_bid_is_charged(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    hold = await ledger.hold("a.1", SEARCH, bid(10))
    await ledger.settle(hold, Amount(LEASED * 2))
    await ledger.asides.put_aside()
    assert await settled(gateways) == LEASED * 2


# the end of a lease


async def test_who_has_not_asked_for_a_round_gives_it_back_but_for_what_is_in_the_air(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    await ledger.asides.put_aside()
    flying = await ledger.hold("flying", SEARCH, bid(30))
    await ledger.asides.put_aside()
    await ledger.asides.put_aside()
    assert await reserved(gateways) == 30
    before = await calls(gateways)
    await ledger.asides.put_aside()
    assert await calls(gateways) == before
    await ledger.settle(flying, Amount(20))
    assert await ledger.asides.put_aside()
    assert await gateways.sums() == {"settled_tokens": 20}


async def test_a_refused_request_gets_what_is_leased_and_not_held(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    flying = await ledger.hold("flying", SEARCH, bid(30))
    await spend(ledger, "all.1", SEARCH, LIMIT - LEASED - 30)
    rest = await ledger.hold("rest.1", SEARCH, bid(LEASED))
    assert (await settled(gateways) + await reserved(gateways)) == LIMIT
    for hold in (flying, rest):
        await ledger.settle(hold, hold.amount)
    with pytest.raises(BudgetExceeded):
        await ledger.hold("more.1", SEARCH, bid(1))


async def test_of_many_that_are_refused_at_once_each_is_asked_about_when_the_lease_is_back(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    await spend(ledger, "all.1", SEARCH, LIMIT - LEASED)
    await asyncio.gather(*(ledger.hold(f"rest{n}.1", SEARCH, bid(LEASED // 10)) for n in range(10)))


async def test_what_is_leased_in_one_window_is_not_spent_in_the_next(gateways: Gateways) -> None:
    gateways.clock.now_s = NOON_S + 12 * HOUR_S - 1
    ledger = await leasing(gateways)
    flying = await ledger.hold("flying", SEARCH, bid(30))
    gateways.clock.now_s += 1
    late = await ledger.hold("late.1", SEARCH, bid(30))
    assert flying.meters != late.meters
    await ledger.settle(flying, Amount(20))
    await ledger.settle(late, Amount(5))
    await ledger.asides.put_aside()
    await ledger.asides.put_aside()
    assert await settled(gateways) == 25


async def test_after_a_reload_that_changed_a_limit_the_old_lease_is_not_spent(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    smaller = Payer("search", "search", (replace(DAY, tokens=100),))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("a.1", smaller, bid(101))
    await ledger.hold("a.2", smaller, bid(100))
    assert await reserved(gateways) == 100


async def test_when_redis_is_found_away_a_closed_budget_closes(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    gateways.valkey.kill()
    await spend(ledger, "a.1", SEARCH, 10)
    await ledger.asides.put_aside()
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a.2", SEARCH, bid(10))
    gateways.valkey.start()
    await gateways.written()
    while await settled(gateways) != 10 or await reserved(gateways):
        await ledger.asides.put_aside()
        await gateways.written()


async def test_a_local_budget_spends_what_was_leased_too_while_redis_is_away(gateways: Gateways) -> None:
    local = Payer("search", "search", (replace(DAY, away="local"),))
    ledger = await leasing(gateways, local)
    together = LIMIT // 20 + LEASED
    assert await reserved(gateways) == together
    gateways.valkey.kill()
    await ledger.asides.put_aside()
    await spend(ledger, "a.1", local, LEASED + 1)
    await ledger.asides.put_aside()
    await spend(ledger, "a.2", local, LIMIT // 20 - 1)
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a.3", local, bid(1))


async def test_a_gateway_that_stops_gives_it_back(gateways: Gateways) -> None:
    ledger = await leasing(gateways)
    await spend(ledger, "a.1", SEARCH, 10)
    ledger.asides.start()
    await ledger.asides.stop()
    assert (await settled(gateways), await reserved(gateways)) == (10, 0)


# many gateways


@pytest.mark.parametrize("seed", range(3))
async def test_gateways_that_lease_never_overspend_and_use_a_budget_up(gateways: Gateways, seed: int) -> None:
    """Every one asks as fast as it can, with attempts in the air, until each has been refused the least there is."""
    chance, ledgers = random.Random(seed), [gateways.new() for _ in range(4)]
    spent = [0]

    async def attempt(ledger: Allotted, id: str) -> bool:
        try:
            hold = await ledger.hold(id, SEARCH, bid(chance.choice([100, 1_000, 5_000])))
        except BudgetExceeded:
            return False
        for _ in range(chance.randint(0, 5)):
            await asyncio.sleep(0)
        tokens = chance.randint(0, hold.amount.tokens)
        spent[0] += tokens
        await ledger.settle(hold, Amount(tokens))
        assert spent[0] <= LIMIT
        return True

    async def client(ledger: Allotted, name: str) -> None:
        number = refused = 0
        while refused < 3:
            number += 1
            refused = 0 if await attempt(ledger, f"{name}-{number}.1") else refused + 1

    async def rounds(ledger: Allotted, done: asyncio.Event) -> None:
        while not done.is_set():
            await ledger.asides.exchange_low()
            await (ledger.asides.put_aside() if chance.random() < 0.1 else asyncio.sleep(0.001))

    done = asyncio.Event()
    behind = [asyncio.ensure_future(rounds(ledger, done)) for ledger in ledgers]
    await asyncio.gather(*(client(each, f"{n}-{m}") for n, each in enumerate(ledgers) for m in range(4)))
    done.set()
    await asyncio.gather(*behind)
    for ledger in ledgers:
        ledger.asides.start()
        await ledger.asides.stop()
    await gateways.written()
    assert await gateways.sums() == {"settled_tokens": spent[0]}
    assert LIMIT - 5_000 * len(ledgers) * 4 <= spent[0] <= LIMIT

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.adapters.redis_keys import meter_keys
from gateway.core.budget import Amount, Away, Budget, Payer
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import PutAside, Unguarded
from gateway.core.window import WindowRule
from tests.fixtures.allotted import LOCAL, SEARCH, Allotted, Gateways, spend
from tests.fixtures.ledger import LEASE_S, NOON_S, bid, sums_of
from tests.fixtures.state import PATIENT_S

MIDNIGHT_S = NOON_S + 12 * 3_600


def search(away: Away, *, hard: bool = True) -> Payer:
    return Payer("search", "search", (replace(LOCAL, away=away, hard=hard),))


@pytest.fixture
async def ledger(gateways: Gateways) -> Allotted:
    """One that has put aside for `SEARCH`."""
    ledger = gateways.new()
    await spend(ledger, "first", SEARCH, 0)
    assert not await ledger.asides.put_aside()
    return ledger


async def spend_until_closed(ledger: Allotted, name: str, tokens: int) -> int:
    """How many tokens it let go."""
    spent = 0
    while True:
        try:
            await spend(ledger, f"{name}-{spent}", SEARCH, tokens)
        except LedgerUnavailable:
            return spent
        spent += tokens


# closed and open


async def test_a_closed_budget_refuses_while_redis_is_away(gateways: Gateways) -> None:
    ledger = gateways.new()
    gateways.valkey.kill()
    with pytest.raises(LedgerUnavailable) as caught:
        await ledger.hold("a", search("closed"), bid(1))
    assert (caught.value.retry_after_s or 0) >= 1


@pytest.mark.parametrize("payer", [search("open"), search("closed", hard=False)], ids=["open", "soft"])
async def test_an_open_budget_lets_go_tells_it_and_counts_it_when_redis_is_back(
    gateways: Gateways, payer: Payer
) -> None:
    ledger = gateways.new()
    await spend(ledger, "before", payer, 10)
    gateways.valkey.kill()
    for n in range(5):
        hold = await ledger.hold(f"away-{n}", payer, bid(900, 900))
        await ledger.settle(hold, Amount(300, 400))
    assert [event for event in gateways.told.events if isinstance(event, Unguarded)] == [
        Unguarded("search", 300, 400)
    ] * 5
    gateways.valkey.start()
    await gateways.written()
    assert await gateways.sums() == {"settled_tokens": 1_510, "settled_nano_usd": 2_010}


async def test_what_redis_was_asked_about_is_not_unguarded(gateways: Gateways) -> None:
    await spend(gateways.new(), "a", search("open"), 10)
    assert gateways.told.events == []


# putting aside


async def test_a_part_of_each_limit_is_put_aside_once_a_service_has_asked(ledger: Allotted, gateways: Gateways) -> None:
    assert await gateways.sums() == {"reserved_tokens": 50, "reserved_nano_usd": 5_000}
    assert gateways.told.events == [PutAside("search", 50, 5_000)]


async def test_nothing_is_put_aside_for_who_would_not_spend_it(gateways: Gateways) -> None:
    ledger = gateways.new()
    await spend(ledger, "a", search("closed"), 0)
    await spend(ledger, "b", search("open"), 0)
    assert await ledger.asides.put_aside()
    assert await gateways.sums() == {}


async def test_a_rate_is_no_part_of_an_allotment(gateways: Gateways) -> None:
    rate = Budget("search", WindowRule("minute", "sliding"), tokens=60, away="open", rate=True)
    payer = Payer("search", "search", (rate, LOCAL))
    ledger = gateways.new()
    await spend(ledger, "a", payer, 0)
    await ledger.asides.put_aside()
    assert gateways.told.events == [PutAside("search", 50, 5_000)]
    gateways.clock.now_s += 61
    gateways.valkey.kill()
    await spend(ledger, "b", payer, 50)


async def test_services_of_a_team_divide_its_part_between_them(gateways: Gateways) -> None:
    team = Budget("team", WindowRule("month"), tokens=800, away="local")
    ledger = gateways.new()
    for name in ("a", "b"):
        await spend(ledger, name, Payer(name, "team", (team,)), 0)
        await ledger.asides.put_aside()
    await ledger.asides.put_aside()
    kept = {event.service: event.tokens for event in gateways.told.events if isinstance(event, PutAside)}
    assert kept == {"a": 20, "b": 20}


async def test_a_service_whose_sums_cannot_be_read_keeps_no_other_from_its_allotment(gateways: Gateways) -> None:
    ledger = gateways.new()
    await gateways.clients[0].set(meter_keys("broken", replace(LOCAL, account="broken").meter(NOON_S)).sums, "no hash")
    with pytest.raises(LedgerUnavailable):
        await spend(ledger, "a", Payer("broken", "broken", (replace(LOCAL, account="broken"),)), 0)
    await spend(ledger, "b", SEARCH, 0)
    await ledger.asides.put_aside()
    assert PutAside("search", 50, 5_000) in gateways.told.events


async def test_requests_beside_an_allotment_ask_redis_as_often_as_without(ledger: Allotted, gateways: Gateways) -> None:
    async def calls() -> int:
        stats = await gateways.clients[0].info("commandstats")
        return int(stats["cmdstat_evalsha"]["calls"])

    before = await calls()
    await spend(ledger, "a", SEARCH, 10)
    assert await calls() - before == 2
    await ledger.asides.put_aside()
    assert await calls() - before == 2


async def test_a_refused_request_gets_back_what_was_put_aside(ledger: Allotted, gateways: Gateways) -> None:
    await spend(ledger, "a", SEARCH, 940)
    await spend(ledger, "req.2", SEARCH, 60)
    assert await gateways.sums() == {"settled_tokens": 1_000, "settled_nano_usd": 1_000}
    with pytest.raises(BudgetExceeded):
        await spend(ledger, "req.3", SEARCH, 1)
    assert PutAside("search", 0, 0) in gateways.told.events


async def test_never_more_than_half_of_what_is_left_is_put_aside(gateways: Gateways) -> None:
    ledger = gateways.new()
    await spend(ledger, "a", SEARCH, 990)
    await ledger.asides.put_aside()
    assert gateways.told.events[-1] == PutAside("search", 5, 5_000)


# spending it


async def test_while_redis_is_away_what_was_put_aside_is_spent_and_no_more(
    ledger: Allotted, gateways: Gateways
) -> None:
    gateways.valkey.kill()
    assert await spend_until_closed(ledger, "away", 20) == 40
    with pytest.raises(LedgerUnavailable, match="does not cover this request") as caught:
        await ledger.hold("late", SEARCH, bid(20))
    assert (caught.value.retry_after_s or 0) >= 1
    await spend(ledger, "small", SEARCH, 10)


async def test_the_same_id_again_is_the_same_hold(ledger: Allotted, gateways: Gateways) -> None:
    gateways.valkey.kill()
    hold = await ledger.hold("a", SEARCH, bid(30))
    assert await ledger.hold("a", SEARCH, bid(30)) == hold
    await ledger.settle(hold, Amount(10))
    await ledger.settle(hold, Amount(10))
    await ledger.hold("b", SEARCH, bid(40))


async def test_a_hold_from_what_was_put_aside_is_charged_to_its_meters(ledger: Allotted, gateways: Gateways) -> None:
    gateways.valkey.kill()
    hold = await ledger.hold("a", SEARCH, bid(30, 7))
    assert (hold.meters, hold.amount) == ((LOCAL.meter(NOON_S),), Amount(30, 7))


async def test_when_redis_is_back_it_is_settled_with_what_was_spent_and_replaced(
    ledger: Allotted, gateways: Gateways
) -> None:
    gateways.valkey.kill()
    await spend(ledger, "away", SEARCH, 30)
    gateways.valkey.start()
    await gateways.written()
    while (await gateways.sums()).get("settled_tokens") != 30:
        await ledger.asides.put_aside()
        await gateways.written()
    assert await gateways.sums() == {
        "settled_tokens": 30,
        "settled_nano_usd": 30,
        "reserved_tokens": 50,
        "reserved_nano_usd": 5_000,
    }


async def test_what_requests_still_hold_of_it_they_hold_of_the_next(ledger: Allotted, gateways: Gateways) -> None:
    gateways.valkey.kill()
    flying = await ledger.hold("flying", SEARCH, bid(30, 30))
    gateways.valkey.start()
    await gateways.written()
    while (await gateways.sums())["reserved_tokens"] != 80:
        await ledger.asides.put_aside()
        await gateways.written()
    await ledger.settle(flying, Amount(20, 20))
    await ledger.asides.put_aside()
    await gateways.written()
    sums = await gateways.sums()
    assert (sums["settled_tokens"], sums["reserved_tokens"]) == (20, 50)


# windows


@pytest.fixture
async def late_ledger(gateways: Gateways) -> Allotted:
    """One that has put aside for `SEARCH` half a minute before midnight."""
    gateways.clock.now_s = MIDNIGHT_S - 30
    ledger = gateways.new()
    await spend(ledger, "first", SEARCH, 0)
    await ledger.asides.put_aside()
    return ledger


async def test_what_was_put_aside_in_one_window_is_not_spent_in_the_next(
    late_ledger: Allotted, gateways: Gateways
) -> None:
    gateways.valkey.kill()
    gateways.clock.now_s = MIDNIGHT_S - 1
    await spend(late_ledger, "before", SEARCH, 1)
    gateways.clock.now_s = MIDNIGHT_S
    with pytest.raises(LedgerUnavailable):
        await late_ledger.hold("after", SEARCH, bid(1))


async def test_one_of_another_window_is_settled_with_the_last_request_that_holds_of_it(
    late_ledger: Allotted, gateways: Gateways
) -> None:
    gateways.valkey.kill()
    flying = await late_ledger.hold("flying", SEARCH, bid(30, 30))
    gateways.valkey.start()
    await gateways.written()
    gateways.clock.now_s = MIDNIGHT_S
    await late_ledger.asides.put_aside()
    sums = await sums_of(gateways.clients[0], "search", LOCAL.meter(MIDNIGHT_S - 1))
    assert sums == {"reserved_tokens": 50, "reserved_nano_usd": 5_000}
    await late_ledger.settle(flying, Amount(20, 20))
    await gateways.written()
    sums = await sums_of(gateways.clients[0], "search", LOCAL.meter(MIDNIGHT_S - 1))
    assert sums == {"settled_tokens": 20, "settled_nano_usd": 20}


async def test_at_the_end_of_a_window_who_has_asked_in_it_gets_an_allotment_of_the_next(
    late_ledger: Allotted, gateways: Gateways
) -> None:
    await spend(late_ledger, "asked", SEARCH, 0)
    gateways.clock.now_s = MIDNIGHT_S
    await late_ledger.asides.put_aside()
    assert await gateways.sums() == {"reserved_tokens": 50, "reserved_nano_usd": 5_000}
    gateways.valkey.kill()
    await spend(late_ledger, "a", SEARCH, 50)


async def test_who_has_not_asked_in_a_whole_window_gets_none(late_ledger: Allotted, gateways: Gateways) -> None:
    gateways.clock.now_s = MIDNIGHT_S
    assert await late_ledger.asides.put_aside()
    assert await gateways.sums() == {}
    assert gateways.told.events[-1] == PutAside("search", 0, 0)


async def test_a_sliding_window_ends_an_allotment_with_its_bucket(gateways: Gateways) -> None:
    payer = Payer("search", "search", (replace(LOCAL, rule=WindowRule("hour", "sliding")),))
    ledger = gateways.new()
    await spend(ledger, "first", payer, 0)
    await ledger.asides.put_aside()
    gateways.valkey.kill()
    await spend(ledger, "a", payer, 10)
    gateways.clock.now_s += 60
    with pytest.raises(LedgerUnavailable):
        await spend(ledger, "b", payer, 10)


# the end of a gateway


async def test_a_gateway_that_stops_gives_it_back(ledger: Allotted, gateways: Gateways) -> None:
    ledger.asides.start()
    await ledger.asides.stop()
    assert await gateways.sums() == {}


async def test_a_gateway_that_is_killed_is_charged_for_all_of_it(ledger: Allotted, gateways: Gateways) -> None:
    gateways.clock.now_s += LEASE_S + 1
    other = gateways.new()
    await spend(other, "other", search("closed"), 0)
    assert await gateways.sums() == {"settled_tokens": 50, "settled_nano_usd": 5_000}


# several gateways, and a Redis that comes and goes


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_two_gateways_never_overspend_while_redis_comes_and_goes(gateways: Gateways, fault: str) -> None:
    ledgers = [gateways.new(timeout_s=0.05 if fault == "frozen" else PATIENT_S) for _ in range(2)]
    spent = 0
    for outage in range(4):
        for n, ledger in enumerate(ledgers):
            spent += await spend_well(ledger, gateways, f"well-{outage}-{n}", 100)
            while await ledger.asides.put_aside():
                gateways.clock.now_s += 1.0
        (gateways.valkey.kill if fault == "killed" else gateways.valkey.freeze)()
        for n, ledger in enumerate(ledgers):
            spent += await spend_until_closed(ledger, f"away-{outage}-{n}", 7)
        (gateways.valkey.start if fault == "killed" else gateways.valkey.thaw)()
        await gateways.written()
    for ledger in ledgers:
        ledger.asides.start()
        await ledger.asides.stop()
    await gateways.written()
    assert await gateways.sums() == {"settled_tokens": spent, "settled_nano_usd": spent}
    assert 800 < spent <= 1_000


async def spend_well(ledger: Allotted, gateways: Gateways, name: str, tokens: int) -> int:
    """A loaded machine may be slower than a time-out: ask until there is an answer."""
    for attempt in range(1_000):
        try:
            await spend(ledger, f"{name}.{attempt}", SEARCH, tokens)
        except LedgerUnavailable:
            gateways.clock.now_s += 1.0
        except BudgetExceeded:
            return 0
        else:
            return tokens
    raise AssertionError("Redis never answered")

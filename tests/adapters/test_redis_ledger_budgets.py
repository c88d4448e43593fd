"""Several budgets in one hold: whose refuses, when there is room again, what is granted, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import AMPLE_OUTPUT_TOKENS, Amount, Bid, Budget, Payer
from gateway.core.errors import BudgetExceeded, LimitExceeded
from gateway.core.events import BudgetLevel
from gateway.core.ladder import Ladder, Rung
from gateway.core.window import WindowRule
from gateway.ports import Standing
from tests.fixtures.ledger import DAY, LEASE_S, NOON_S, SEARCH, bid, sums
from tests.fixtures.semantic import EventList, HandClock

ACME = Budget("acme", WindowRule("month"), tokens=150)
OWN = Payer("search", "acme", (DAY, ACME))
OTHER = Payer("support", "acme", (replace(DAY, account="support"), ACME))
MINUTE = Budget("search", WindowRule("minute", "sliding"), tokens=100)
SLIDING = Payer("search", "search", (MINUTE,))
PACED = Payer("search", "search", (replace(DAY, tokens=240, nano_usd=None, pace_burst=0.0),))
OWN_AND_TEAM = (("search", None), ("team", 0.8))
SOFT = Payer("search", "search", (replace(DAY, hard=False),))


async def refusal(ledger: RedisLedger, payer: Payer, asked: Bid, rung: Rung = "wall") -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as caught:
        await ledger.hold("refused", payer, asked, rung)
    return caught.value


# several budgets


async def test_services_of_a_group_share_its_budget(ledger: RedisLedger) -> None:
    await ledger.hold("a", OWN, bid(100))
    assert (await refusal(ledger, OTHER, bid(51))).budget == ACME
    held = await ledger.hold("b", OTHER, bid(50))
    assert held.meters == ("support/day:2100-06-15", "acme/month:2100-06")
    assert [standing.used for standing in held.standings] == [Amount(50), Amount(150)]


async def test_a_hold_that_one_budget_refuses_is_in_none(ledger: RedisLedger) -> None:
    await refusal(ledger, OWN, bid(101))
    assert [standing.used for standing in await ledger.standing(OWN)] == [Amount(), Amount()]


async def test_of_several_that_refuse_the_one_that_takes_longest_is_named(ledger: RedisLedger) -> None:
    refused = await refusal(ledger, OWN, bid(151))
    assert refused.message == (
        "The token budget of 'acme' for this month does not cover this request; the month ends at 2100-07-01T00:00:00Z."
    )
    assert refused.retry_after_s == 15.5 * 86_400


async def test_a_settlement_reaches_every_budget(ledger: RedisLedger) -> None:
    await ledger.settle(await ledger.hold("a", OWN, bid(100)), Amount(30))
    assert [standing.used for standing in await ledger.standing(OWN)] == [Amount(30), Amount(30)]


async def test_a_day_is_that_of_its_zone(ledger: RedisLedger) -> None:
    auckland = replace(DAY, rule=WindowRule("day", zone=ZoneInfo("Pacific/Auckland")))
    held = await ledger.hold("a", Payer("search", "search", (auckland,)), bid(1))
    assert held.meters == ("search/day:2100-06-16",)  # midnight there is noon in UTC
    assert held.standings == (Standing(auckland, NOON_S + 86_400, Amount(1)),)


async def test_a_payer_without_budgets_asks_nobody_and_leaves_no_trace(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    held = await ledger.hold("a", Payer("search", "search"), Bid(Amount(5), 1, 10, 90))
    await ledger.settle(held, Amount(50))
    assert await ledger.flush()
    assert (held.output_tokens, held.meters) == (90, ())
    assert await ledger.standing(Payer("search", "search")) == ()
    assert await redis_client.keys() == []


async def test_a_hold_and_its_settlement_take_one_round_trip_each(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    await ledger.standing(OWN)
    await redis_client.config_resetstat()
    await ledger.settle(await ledger.hold("a", OWN, bid(10)), Amount(5))
    stats = await redis_client.info("commandstats")
    calls = {name: row["calls"] for name, row in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval")}
    assert calls == {"cmdstat_evalsha": 2}


# bids


async def test_a_request_that_names_no_limit_does_not_reserve_all_there_is(ledger: RedisLedger) -> None:
    payer = Payer("search", "search", (replace(DAY, tokens=20_000, nano_usd=None),))
    unnamed = Bid(Amount(100), 0, 1_024, 128_000)
    granted = [(await ledger.hold(id, payer, unnamed)).output_tokens for id in "abcd"]
    assert granted == [AMPLE_OUTPUT_TOKENS] * 4
    assert (await ledger.hold("e", payer, unnamed)).output_tokens == 20_000 - 4 * 4_196 - 100
    assert (await refusal(ledger, payer, unnamed)).kind == "tokens"


async def test_the_same_bid_again_is_granted_what_it_was(ledger: RedisLedger) -> None:
    flexible = Bid(Amount(10), 1, 10, 90)
    first = await ledger.hold("a", SEARCH, flexible)
    again = await ledger.hold("a", SEARCH, flexible)
    assert (first.output_tokens, first.amount) == (again.output_tokens, again.amount) == (90, Amount(100, 90))


# rungs, pace, softness


async def test_each_budgets_own_ladder_says_how_far_an_attempt_may_go(ledger: RedisLedger) -> None:
    own, team = (replace(DAY, account=account, ladder=Ladder(cheaper=cheaper)) for account, cheaper in OWN_AND_TEAM)
    payer = Payer("search", "team", (own, team))
    assert (await refusal(ledger, payer, bid(81), "wanted")).budget == team
    await ledger.hold("a", payer, bid(80), "wanted")
    assert (await refusal(ledger, payer, bid(1), "wanted")).budget == team
    await ledger.hold("b", payer, bid(10), "cheaper")
    await ledger.hold("c", payer, bid(10))
    assert (await refusal(ledger, payer, bid(1))).budget == own


async def test_a_paced_budget_says_when_the_window_has_come_so_far(ledger: RedisLedger) -> None:
    await ledger.hold("a", PACED, bid(120))  # noon
    refused = await refusal(ledger, PACED, bid(30))
    assert refused.retry_after_s == 3 * 3_600
    assert refused.message.endswith("for this day does not cover this request; there is room for it from "
                                    "2100-06-15T15:00:00Z on.")  # fmt: skip


async def test_what_a_whole_paced_window_does_not_cover_waits_for_the_next(ledger: RedisLedger) -> None:
    assert (await refusal(ledger, PACED, bid(241))).retry_after_s == 12 * 3_600


async def test_a_soft_budget_refuses_nothing_and_counts_everything(ledger: RedisLedger) -> None:
    await ledger.hold("a", SOFT, bid(1_000))
    held = await ledger.hold("b", SOFT, Bid(Amount(), 1, 10, 5_000))
    assert held.output_tokens == 5_000
    assert held.standings[0].used == Amount(6_000, 5_000)


async def test_a_soft_budget_tells_when_it_warns_and_when_it_is_spent(ledger: RedisLedger, told: EventList) -> None:
    await ledger.hold("a", SOFT, bid(250))
    assert told.events == [
        BudgetLevel("search", "day", "warn", 2.5),
        BudgetLevel("search", "day", "spent", 2.5),
    ]


# sliding windows


async def test_a_sliding_window_has_room_when_its_oldest_buckets_have_left(
    ledger: RedisLedger, hand_clock: HandClock, server_clock: HandClock
) -> None:
    await ledger.hold("a", SLIDING, bid(60))
    hand_clock.now_s = server_clock.now_s = NOON_S + 30
    await ledger.hold("b", SLIDING, bid(40))
    refused = await refusal(ledger, SLIDING, bid(60))
    assert refused.retry_after_s == 31
    assert "for any minute does not cover this request; there is room for it from 2100-06-15T12:01:01Z" in (
        refused.message
    )
    hand_clock.now_s = server_clock.now_s = NOON_S + 60.999
    await refusal(ledger, SLIDING, bid(1))
    hand_clock.now_s = server_clock.now_s = NOON_S + 61
    await ledger.hold("c", SLIDING, bid(60))


async def test_a_rate_is_refused_as_one_and_tells_no_levels(ledger: RedisLedger, told: EventList) -> None:
    payer = Payer("search", "search", (replace(MINUTE, tokens=1_000, rate=True),))
    await ledger.hold("a", payer, bid(1_000))
    with pytest.raises(LimitExceeded) as caught:
        await ledger.hold("b", payer, bid(1))
    assert (caught.value.code, caught.value.retry_after_s) == ("rate_limit_exceeded", 61)
    assert caught.value.message.startswith("The limit of 1,000 tokens a minute of 'search' does not cover this request")
    assert told.events == []


# leases


async def test_leases_of_what_is_held_go_on_and_of_what_was_settled_do_not(
    new_ledger: Callable[[], RedisLedger], redis_client: RedisClient, server_clock: HandClock
) -> None:
    lives, dies = new_ledger(), new_ledger()
    held = await lives.hold("a", OWN, bid(10))
    await dies.hold("b", OWN, bid(20))
    await lives.settle(await lives.hold("c", OWN, bid(5)), Amount(1))
    for _ in range(5):
        server_clock.now_s += LEASE_S / 3
        await lives.renew()
    assert await sums(redis_client, held) == {"reserved_tokens": 10, "settled_tokens": 21}


async def test_many_leases_are_renewed_in_few_calls(ledger: RedisLedger, redis_client: RedisClient) -> None:
    for number in range(450):
        await ledger.hold(str(number), SOFT, bid(1))
    await redis_client.config_resetstat()
    await ledger.renew()
    assert (await redis_client.info("commandstats"))["cmdstat_evalsha"]["calls"] == 3


# levels


async def test_each_rung_is_told_once_a_window(
    ledger: RedisLedger, told: EventList, hand_clock: HandClock, server_clock: HandClock
) -> None:
    payer = Payer("search", "search", (replace(DAY, ladder=Ladder(warn=0.5, cheaper=0.8, local=None)),))
    for id, tokens in zip("abc", (60, 20, 15), strict=True):
        held = await ledger.hold(id, payer, bid(tokens))
    await ledger.settle(held, Amount(0))
    await ledger.hold("again", payer, bid(20))
    assert told.of(BudgetLevel) == [
        BudgetLevel("search", "day", "warn", 0.6),
        BudgetLevel("search", "day", "cheaper", 0.8),
        BudgetLevel("search", "day", "spent", 1.0),
    ]
    hand_clock.now_s = server_clock.now_s = NOON_S + 86_400
    await ledger.hold("tomorrow", payer, bid(50))
    assert told.of(BudgetLevel)[3:] == [BudgetLevel("search", "day", "warn", 0.5)]

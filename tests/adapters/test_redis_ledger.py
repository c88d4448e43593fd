"""What the ledger promises while Redis answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_keys import meter_keys
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import MAX_LIMIT, NOTHING, SETTLED_KEPT_MS, Amount, Bid, Budget, Payer
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import Overshoot
from gateway.core.window import WindowRule, window_of
from gateway.ports import Hold, Standing
from tests.fixtures.ledger import DAY, LEASE_S, NOON_S, SEARCH, UNLIMITED, bid, sums, text
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S

HOUR = Budget("search", WindowRule("hour"), tokens=100)
HOURLY = Payer("search", "search", (HOUR,))


async def spent(ledger: RedisLedger, payer: Payer) -> Amount:
    (standing,) = await ledger.standing(payer)
    return standing.used


# hold


async def test_a_hold_reserves_and_its_settlement_charges_what_was_used(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    hold = await ledger.hold("a", SEARCH, bid(60, 600))
    meters, standing = ("search/day:2100-06-15",), Standing(DAY, NOON_S + 12 * 3_600, Amount(60, 600))
    assert hold == Hold("a", "search", "search", Amount(60, 600), 0, NOON_S, (DAY,), meters, (standing,))
    assert await sums(redis_client, hold) == {"reserved_tokens": 60, "reserved_nano_usd": 600}
    await ledger.settle(hold, Amount(10, 100))
    assert await sums(redis_client, hold) == {"settled_tokens": 10, "settled_nano_usd": 100}
    assert await spent(ledger, SEARCH) == Amount(10, 100)


async def test_of_two_hundred_at_once_exactly_those_that_fit_are_granted(
    new_ledger: Callable[[], RedisLedger], redis_client: RedisClient
) -> None:
    gateways = [new_ledger() for _ in range(3)]
    asked = [gateways[n % 3].hold(str(n), SEARCH, bid(10, 100)) for n in range(200)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    holds = [answer for answer in answers if isinstance(answer, Hold)]
    refusals = [answer for answer in answers if isinstance(answer, BudgetExceeded)]
    assert (len(holds), len(refusals)) == (10, 190)
    assert await sums(redis_client, holds[0]) == {"reserved_tokens": 100, "reserved_nano_usd": 1000}


async def test_the_same_hold_again_is_the_same_answer(ledger: RedisLedger, redis_client: RedisClient) -> None:
    once = await ledger.hold("a", SEARCH, bid(60, 600))
    assert await ledger.hold("a", SEARCH, bid(60, 600)) == once
    assert await sums(redis_client, once) == {"reserved_tokens": 60, "reserved_nano_usd": 600}


async def test_services_do_not_see_each_others_spend(ledger: RedisLedger) -> None:
    support = Payer("support", "support", (replace(DAY, account="support"),))
    await ledger.hold("a", SEARCH, bid(100, 0))
    await ledger.hold("a", support, bid(100, 0))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", SEARCH, bid(1, 0))


@pytest.mark.parametrize(("amount", "unit"), [(Amount(101, 0), "token budget"), (Amount(100, 1001), "dollar budget")])
async def test_a_refusal_names_the_limit_the_window_and_its_end_and_no_sums(
    ledger: RedisLedger, amount: Amount, unit: str
) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        await ledger.hold("a", SEARCH, Bid(amount))
    assert caught.value.message == (
        f"The {unit} of 'search' for this day does not cover this request; the day ends at 2100-06-16T00:00:00Z."
    )
    assert caught.value.retry_after_s == 12 * 3600


async def test_the_largest_limit_is_exact_to_one_nano_dollar(ledger: RedisLedger) -> None:
    payer = Payer("search", "search", (replace(DAY, tokens=None, nano_usd=MAX_LIMIT),))
    await ledger.hold("a", payer, bid(0, MAX_LIMIT - 1))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", payer, bid(0, 2))
    await ledger.hold("c", payer, bid(0, 1))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("d", payer, bid(0, 1))


async def test_an_id_that_was_settled_cannot_be_held_again(ledger: RedisLedger) -> None:
    await ledger.settle(await ledger.hold("a", SEARCH, bid(10)), Amount(10))
    with pytest.raises(LedgerUnavailable):
        await ledger.hold("a", SEARCH, bid(10))


# settle


def never_held(payer: Payer) -> Hold:
    meters = tuple(budget.meter(NOON_S) for budget in payer.budgets)
    return Hold("never held", payer.name, payer.tag, Amount(500), 0, NOON_S, payer.budgets, meters)


async def test_settling_twice_charges_once(ledger: RedisLedger) -> None:
    hold = await ledger.hold("a", SEARCH, bid(60))
    await ledger.settle(hold, Amount(10))
    await ledger.settle(hold, Amount(50))
    assert await spent(ledger, SEARCH) == Amount(10)


async def test_settling_what_was_refused_charges_nothing(ledger: RedisLedger) -> None:
    await ledger.settle(never_held(SEARCH), Amount(500))
    assert await spent(ledger, SEARCH) == NOTHING


async def test_a_lease_that_ends_unsettled_is_charged_in_full_and_trued_up_by_a_late_settle(
    ledger: RedisLedger, server_clock: HandClock
) -> None:
    hold = await ledger.hold("a", SEARCH, bid(60, 600))
    server_clock.now_s += LEASE_S
    assert await spent(ledger, SEARCH) == Amount(60, 600)
    await ledger.settle(hold, Amount(10, 100))
    await ledger.settle(hold, Amount(10, 100))
    assert await spent(ledger, SEARCH) == Amount(10, 100)


async def test_a_settlement_is_charged_to_the_window_of_its_hold(
    ledger: RedisLedger, redis_client: RedisClient, hand_clock: HandClock, server_clock: HandClock
) -> None:
    hold = await ledger.hold("a", HOURLY, bid(60))
    hand_clock.now_s = server_clock.now_s = NOON_S + 3600
    await ledger.settle(hold, Amount(10))
    assert await spent(ledger, HOURLY) == NOTHING
    assert await sums(redis_client, hold) == {"settled_tokens": 10}


async def test_costing_more_than_was_held_is_told_when_it_passes_the_limit(
    ledger: RedisLedger, told: EventList
) -> None:
    within = await ledger.hold("a", SEARCH, bid(10, 900))
    await ledger.settle(within, Amount(20, 900))
    over = await ledger.hold("b", SEARCH, bid(80, 50))
    await ledger.settle(over, Amount(90, 50))
    assert told.of(Overshoot) == [Overshoot("search", tokens=10, nano_usd=0)]


async def test_an_absurd_count_from_upstream_closes_the_budget_and_breaks_nothing(ledger: RedisLedger) -> None:
    await ledger.settle(await ledger.hold("a", SEARCH, bid(10)), Amount(10**30, 10**30))
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", SEARCH, bid(1))


# windows


async def test_the_servers_clock_decides_the_window(
    ledger: RedisLedger, hand_clock: HandClock, server_clock: HandClock
) -> None:
    hand_clock.now_s = NOON_S + 86_400
    assert (await ledger.hold("a", SEARCH, bid(1))).meters == ("search/day:2100-06-15",)
    server_clock.now_s += 86_400
    assert (await ledger.hold("b", SEARCH, bid(1))).meters == ("search/day:2100-06-16",)


async def test_a_new_window_begins_with_the_whole_budget(
    ledger: RedisLedger, hand_clock: HandClock, server_clock: HandClock
) -> None:
    await ledger.hold("a", HOURLY, bid(100))
    server_clock.now_s = NOON_S + 3599.999
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", HOURLY, bid(1))
    server_clock.now_s = NOON_S + 3600
    await ledger.hold("c", HOURLY, bid(100))


async def test_without_a_test_clock_the_real_server_decides(
    redis_client: RedisClient, hand_clock: HandClock, told: EventList
) -> None:
    ledger = RedisLedger(redis_client, hand_clock, told, lease_s=LEASE_S, timeout_s=PATIENT_S)
    monthly = Budget("search", WindowRule("month"), tokens=10)
    hold = await ledger.hold("a", Payer("search", "search", (monthly,)), bid(1))
    seconds, _ = await redis_client.time()
    assert hold.meters[0] in {monthly.meter(seconds), monthly.meter(seconds - 60)}


# without a budget


async def test_a_service_without_a_budget_is_counted_by_the_month_and_survives_a_restart(
    new_ledger: Callable[[], RedisLedger], redis_client: RedisClient
) -> None:
    before = new_ledger()
    hold = await before.hold("a", UNLIMITED, bid(10**15, 10**15))
    assert hold.meters == ("search/month:2100-06",)
    assert not await redis_client.keys()
    for _ in range(3):
        await before.settle(hold, Amount(10**15, 2))
    assert await before.stop()
    assert await spent(new_ledger(), UNLIMITED) == Amount(3 * 10**15, 6)


async def test_a_monthly_budget_given_in_mid_month_starts_with_what_was_spent(ledger: RedisLedger) -> None:
    await ledger.settle(await ledger.hold("a", UNLIMITED, bid(60)), Amount(60))
    await ledger.flush()
    monthly = Budget("search", WindowRule("month"), tokens=100)
    with pytest.raises(BudgetExceeded):
        await ledger.hold("b", Payer("search", "search", (monthly,)), bid(41))


# keys


async def test_every_key_lives_longer_than_its_window_and_the_epoch_longest(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    rules = [WindowRule("day"), WindowRule("minute"), WindowRule("month"), WindowRule("hour", "sliding")]
    for rule in rules[:2] + rules[3:]:
        payer = Payer("search", "search", (Budget("search", rule, tokens=100),))
        await ledger.settle(await ledger.hold(rule.name, payer, bid(10)), Amount(20))
        await ledger.hold(f"open {rule.name}", payer, bid(10))
    await ledger.settle(await ledger.hold("c", UNLIMITED, bid(10)), Amount(10))
    await ledger.flush()
    lives_s = {rule.name: window_of(rule, NOON_S).end_s - NOON_S for rule in rules}
    now_s, _ = await redis_client.time()
    ends_ms = {key: await redis_client.pexpiretime(key) for key in map(text, await redis_client.keys())}
    assert len(ends_ms) == 4 * 3 + 1
    last_ms = ends_ms.pop("thriftgate:{search}:epoch")
    for key, end_ms in ends_ms.items():
        kind = key.partition("/")[2].partition(":")[0]
        assert (now_s + lives_s[kind]) * 1000 < end_ms <= last_ms


async def test_what_is_remembered_of_an_id_that_was_never_held_is_forgotten(
    ledger: RedisLedger, redis_client: RedisClient
) -> None:
    await ledger.settle(never_held(HOURLY), Amount(1))
    lives_ms = [await redis_client.pttl(key) for key in await redis_client.keys()]
    assert len(lives_ms) == 2
    assert all(0 < life_ms <= SETTLED_KEPT_MS for life_ms in lives_ms)


async def test_what_is_remembered_of_old_requests_is_forgotten(
    ledger: RedisLedger, redis_client: RedisClient, server_clock: HandClock
) -> None:
    for number in range(150):
        await ledger.settle(await ledger.hold(str(number), SEARCH, bid(0)), NOTHING)
    server_clock.now_s += 3600
    await ledger.standing(SEARCH)
    await ledger.standing(SEARCH)
    keys = meter_keys("search", DAY.meter(NOON_S))
    assert await redis_client.exists(keys.leases, keys.holds) == 0


async def test_a_script_that_the_server_forgot_is_sent_again(ledger: RedisLedger, redis_client: RedisClient) -> None:
    await ledger.hold("a", SEARCH, bid(1))
    await redis_client.script_flush()
    await ledger.hold("b", SEARCH, bid(1))

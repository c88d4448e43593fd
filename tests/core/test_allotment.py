from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.allotment import (
    LEASED_PART,
    NO_ROOM,
    Allotment,
    Portions,
    away_of,
    lease,
    least_of,
    portion,
    spare,
    unguarded,
    usable,
)
from gateway.core.budget import NOTHING, UNLIMITED, Amount, Away, Bid, Budget, Limits, Payer, granted
from gateway.core.ladder import Ladder
from gateway.core.window import WindowRule

DAY, MONTH = WindowRule("day"), WindowRule("month")
NOON_S = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
OWN = Budget("search", DAY, tokens=1_000, nano_usd=9_000, away="local")
TEAM = Budget("team", MONTH, nano_usd=90_000, away="open")
KINDS = st.one_of(st.none(), st.integers(0, 100_000))
ENOUGH_S = NOON_S + 60


def payer(*budgets: Budget) -> Payer:
    return Payer("search", "team", budgets)


def asking(tokens: int, nano_usd: int = 0) -> Bid:
    return Bid(Amount(tokens, nano_usd))


# who decides


@pytest.mark.parametrize(
    ("policies", "decides"),
    [(("open",), "open"), (("open", "local"), "local"), (("local", "closed", "open"), "closed"), ((), "open")],
)
def test_the_strictest_budget_decides(policies: tuple[Away, ...], decides: Away) -> None:
    assert away_of(payer(*(replace(OWN, away=policy) for policy in policies))) == decides


def test_a_budget_that_refuses_nothing_closes_nothing() -> None:
    soft, counted = replace(OWN, hard=False, away="closed"), Budget("search", MONTH, away="closed")
    assert away_of(payer(soft, counted)) == "open"


def test_what_is_spent_unguarded_is_counted_in_the_same_meters_without_a_limit() -> None:
    free = unguarded(payer(OWN, TEAM))
    assert not free.is_limited
    assert [budget.meter(NOON_S) for budget in free.budgets] == [budget.meter(NOON_S) for budget in (OWN, TEAM)]
    assert (free.name, free.tag) == ("search", "team")


# how much is put aside


def test_the_smallest_part_of_each_kind_is_put_aside() -> None:
    assert portion(payer(OWN, TEAM), 0.05, {}) == Limits(50, 450)


def test_payers_that_share_a_budget_divide_the_part() -> None:
    assert portion(payer(OWN, TEAM), 0.05, {"team": 20}) == Limits(50, 225)


def test_soft_budgets_limit_nothing() -> None:
    assert portion(payer(replace(OWN, hard=False), TEAM), 0.05, {}) == Limits(None, 4_500)


def test_half_of_what_is_left_stays_for_requests() -> None:
    assert spare([OWN, TEAM], [Amount(901, 1_000), Amount(0, 89_000)], NOON_S) == Limits(49, 500)


def test_nothing_is_spare_where_a_limit_has_been_passed() -> None:
    assert spare([OWN], [Amount(2_000, 0)], NOON_S) == Limits(0, 4_500)


def test_an_allotment_of_nothing_is_none() -> None:
    assert Portions(usable(Limits(0, 4))).amount == NOTHING
    assert Portions(usable(Limits(4, 0))).amount == NOTHING
    assert Portions(usable(Limits(None, 4))).amount == Amount(0, 4)


@given(st.lists(st.tuples(KINDS, KINDS), min_size=1, max_size=5), st.floats(0.001, 1))
def test_what_a_gateway_puts_aside_for_all_its_payers_is_within_the_part(
    limits: list[tuple[int | None, int | None]], part: float
) -> None:
    shared = Budget("team", MONTH, 100_000, 100_000)
    payers = [payer(Budget(f"service-{n}", DAY, *limit), shared) for n, limit in enumerate(limits)]
    asides = [Portions(usable(portion(each, part, {"team": len(payers)}))).amount for each in payers]
    together = sum(asides, NOTHING)
    assert Limits(int(100_000 * part), int(100_000 * part)).excess(together) == NOTHING


# how much is leased


def test_a_lease_is_a_part_of_what_is_left_below_the_lowest_rung_of_every_budget() -> None:
    assert lease(payer(OWN, TEAM), [Amount(160, 0), Amount(0, 71_000)], NOON_S, 1 / 16, {}) == Limits(40, 62)


def test_a_budget_that_only_warns_is_leased_up_to_its_warning() -> None:
    soft = Budget("search", DAY, tokens=1_000, hard=False, ladder=Ladder(warn=0.5))
    assert lease(payer(soft), [Amount(340)], NOON_S, 1 / 16, {}) == Limits(10)


def test_nothing_is_leased_beyond_a_rung_or_ahead_of_the_pace() -> None:
    assert usable(lease(payer(OWN), [Amount(800)], NOON_S, 1.0, {})) == NO_ROOM
    paced = replace(OWN, pace_burst=0.0)
    assert lease(payer(paced), [Amount(300)], NOON_S, 1.0, {}) == Limits(100, 3_600)


def test_payers_that_share_a_budget_divide_what_is_leased_of_it() -> None:
    assert lease(payer(OWN, TEAM), [NOTHING, NOTHING], NOON_S, 0.1, {"team": 100}) == Limits(80, 72)


BIDS = st.builds(
    Bid,
    st.builds(Amount, st.integers(0, 200), st.integers(0, 2_000)),
    st.integers(0, 20),
    st.integers(0, 10),
    st.integers(10, 200_000),
)


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.floats(0, 1), BIDS)
def test_who_holds_of_a_lease_would_have_been_granted_as_much_on_any_rung(
    tokens: int, nano_usd: int, used_share: float, bid: Bid
) -> None:
    budget = Budget("search", DAY, tokens, nano_usd)
    used = Amount(int(tokens * used_share), int(nano_usd * used_share))
    allotment = Portions(leased=usable(lease(payer(budget), [used], NOON_S, LEASED_PART, {}))).allotment(ENOUGH_S)
    if allotment.lease("a", bid, NOON_S) is not None:
        for rung in ("wanted", "cheaper", "wall"):
            assert granted(bid, [budget.wall(NOON_S, rung).room(used)]) == bid.most_output_tokens


# spending it


def test_of_a_lease_all_of_a_bid_is_held_or_nothing() -> None:
    allotment = Portions(leased=Limits(50, None)).allotment(ENOUGH_S)
    assert allotment.lease("a", Bid(Amount(10), 1, 0, 41), NOON_S) is None
    assert allotment.lease("b", Bid(Amount(10), 1, 0, 40), NOON_S) == Amount(50, 40)
    assert allotment.lease("c", asking(1), NOON_S) is None
    allotment.settle("b", Amount(20, 5))
    assert allotment.lease("d", asking(30), NOON_S) == Amount(30)


def test_nothing_is_held_of_a_lease_whose_window_is_over() -> None:
    assert Portions(leased=Limits(50)).allotment(NOON_S).lease("a", asking(1), NOON_S) is None


def test_what_is_put_aside_for_an_outage_is_not_leased() -> None:
    allotment = Portions(Limits(100, 1_000), Limits(10, 100)).allotment(ENOUGH_S)
    assert allotment.lease("a", asking(11), NOON_S) is None
    assert allotment.hold("b", asking(101), 1.0, NOON_S) == 0
    assert allotment.lease("c", asking(1), NOON_S) is None


def test_a_lease_is_low_when_half_of_it_is_used() -> None:
    allotment = Portions(leased=Limits(100), carried=Amount(30)).allotment(ENOUGH_S)
    before = Allotment(Limits(30), ENOUGH_S)
    before.hold("before", asking(30), 1.0, NOON_S)
    assert allotment.take_over(before)
    allotment.lease("a", asking(50), NOON_S)
    assert not allotment.is_low
    allotment.lease("b", asking(1), NOON_S)
    assert allotment.is_low


def test_what_attempts_hold_is_taken_over_and_what_was_spent_stays() -> None:
    before, fresh = Allotment(Limits(50), ENOUGH_S), Portions(carried=Amount(20)).allotment(ENOUGH_S)
    before.hold("spent", asking(30), 1.0, NOON_S)
    before.hold("flying", asking(20), 1.0, NOON_S)
    before.settle("spent", Amount(25))
    assert fresh.take_over(before)
    assert (before.held, before.used, before.spent) == ({}, Amount(25), Amount(25))
    assert (fresh.held, fresh.used, fresh.spent) == ({"flying": Amount(20)}, Amount(20), NOTHING)


def test_what_does_not_fit_is_not_taken_over() -> None:
    before, fresh = Allotment(Limits(50), ENOUGH_S), Portions(carried=Amount(20)).allotment(ENOUGH_S)
    before.hold("flying", asking(21), 1.0, NOON_S)
    assert not fresh.take_over(before)
    assert (before.used, fresh.used) == (Amount(21), NOTHING)


def test_an_attempt_that_does_not_fit_is_refused_and_leaves_the_rest() -> None:
    allotment = Allotment(Limits(50, None), ENOUGH_S)
    assert allotment.hold("a", asking(30), 1.0, NOON_S) == 0
    assert allotment.hold("b", asking(21), 1.0, NOON_S) is None
    assert allotment.hold("c", asking(20, 1_000_000), 1.0, NOON_S) == 0


def test_a_rung_is_a_share_of_the_allotment() -> None:
    allotment = Allotment(Limits(50), ENOUGH_S)
    assert allotment.hold("dear", asking(46), 0.9, NOON_S) is None
    assert allotment.hold("cheap", asking(46), 1.0, NOON_S) == 0


def test_what_was_reserved_and_not_used_can_be_spent_again() -> None:
    allotment = Allotment(Limits(50), ENOUGH_S)
    allotment.hold("a", asking(50), 1.0, NOON_S)
    allotment.settle("a", Amount(10))
    assert (allotment.used, allotment.spent) == (Amount(10), Amount(10))
    assert allotment.hold("b", asking(40), 1.0, NOON_S) == 0


def test_nothing_is_spent_once_its_window_is_over() -> None:
    allotment = Allotment(Limits(50), until_s=NOON_S)
    assert allotment.hold("a", asking(1), 1.0, NOON_S - 0.001) == 0
    assert allotment.hold("b", asking(1), 1.0, NOON_S) is None
    allotment.settle("a", Amount(1))
    assert allotment.spent == Amount(1)


def test_no_limit_of_a_kind_bounds_nothing() -> None:
    assert least_of([]) == UNLIMITED
    assert least_of([Limits(5), Limits(None, 7), Limits(3)]) == Limits(3, 7)


STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 60), st.integers(0, 60), st.integers(0, 200), st.floats(0, 1)),
    max_size=40,
)


@given(st.builds(Limits, KINDS, KINDS), STEPS)
def test_it_is_never_overspent_whatever_is_held_and_settled(
    most: Limits, steps: list[tuple[int, int, int, int, float]]
) -> None:
    """Each step holds under one of ten ids, or settles what is held there with a part of it."""
    allotment, used = Allotment(most, ENOUGH_S), NOTHING
    for number, prompt, price, output, part in steps:
        id = str(number)
        if id in allotment.held:
            reserved = allotment.held[id]
            actual = Amount(int(reserved.tokens * part), int(reserved.nano_usd * part))
            allotment.settle(id, actual)
            used += actual
        else:
            bid = Bid(Amount(prompt, prompt * price), price, 0, output)
            output_tokens = allotment.hold(id, bid, part, NOON_S)
            assert output_tokens is None or 0 <= output_tokens <= output
        assert most.excess(allotment.used) == NOTHING
        assert allotment.spent == used

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.budget import (
    LATE_MS,
    MAX_LIMIT,
    NOTHING,
    SETTLED_KEPT_MS,
    Amount,
    Budget,
    BudgetState,
    expire,
    hold,
    settle,
)
from gateway.core.window import WindowRule

DAY = WindowRule("day")
BUDGET = Budget("search", DAY, tokens=100, nano_usd=1000)
LEASE_MS = 60_000


def held(amount: Amount, state: BudgetState | None = None, id: str = "a", now_ms: int = 0) -> BudgetState:
    after, answer = hold(state or BudgetState(), id, amount, BUDGET, now_ms, LEASE_MS)
    assert answer == "held"
    return after


# limits


@pytest.mark.parametrize("limit", [-1, MAX_LIMIT + 1])
def test_a_limit_that_a_double_cannot_hold_exactly_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="nano_usd limit"):
        Budget("search", DAY, nano_usd=limit)
    with pytest.raises(ValueError, match="tokens limit"):
        Budget("search", DAY, tokens=limit)
    assert Budget("search", DAY, MAX_LIMIT, MAX_LIMIT).limits() == (("tokens", MAX_LIMIT), ("nano_usd", MAX_LIMIT))


def test_a_double_tells_one_over_the_largest_limit_from_the_limit() -> None:
    assert float(MAX_LIMIT) != float(MAX_LIMIT + 1)


def test_an_amount_is_never_negative() -> None:
    with pytest.raises(ValueError, match="never negative"):
        Amount(1) - Amount(2)


# reserve, then settle


def test_a_hold_is_refused_by_the_kind_of_limit_it_would_pass() -> None:
    state = held(Amount(60, 0))
    assert hold(state, "b", Amount(41, 0), BUDGET, 0, LEASE_MS) == (state, "tokens")
    assert hold(state, "b", Amount(40, 1001), BUDGET, 0, LEASE_MS) == (state, "nano_usd")
    assert hold(state, "b", Amount(40, 1000), BUDGET, 0, LEASE_MS)[1] == "held"


def test_the_same_hold_again_reserves_nothing_more() -> None:
    state = held(Amount(60, 0))
    assert held(Amount(60, 0), state) == state


def test_settling_frees_the_rest() -> None:
    state, over = settle(held(Amount(60, 600)), "a", Amount(10, 100), BUDGET, 0)
    assert (state.settled, state.reserved, over) == (Amount(10, 100), NOTHING, NOTHING)


def test_settling_twice_charges_once() -> None:
    once, _ = settle(held(Amount(60, 0)), "a", Amount(10, 0), BUDGET, 0)
    assert settle(once, "a", Amount(50, 0), BUDGET, 0)[0].settled == Amount(10, 0)


def test_a_crash_charges_the_whole_estimate_when_the_lease_ends() -> None:
    state = held(Amount(60, 600))
    assert expire(state, LEASE_MS - 1) == state
    crashed = expire(state, LEASE_MS)
    assert (crashed.settled, crashed.reserved) == (Amount(60, 600), NOTHING)


def test_a_late_settle_trues_the_charge_up_once() -> None:
    late, _ = settle(held(Amount(60, 600)), "a", Amount(10, 100), BUDGET, LEASE_MS + LATE_MS - 1)
    assert late.settled == Amount(10, 100)
    assert settle(late, "a", Amount(0, 0), BUDGET, LEASE_MS + LATE_MS)[0].settled == Amount(10, 100)


def test_a_settle_that_is_too_late_leaves_the_estimate() -> None:
    late, _ = settle(held(Amount(60, 0)), "a", Amount(10, 0), BUDGET, LEASE_MS + LATE_MS)
    assert late.settled == Amount(60, 0)


def test_a_release_that_overtook_its_hold_leaves_nothing_reserved() -> None:
    released, _ = settle(BudgetState(), "a", NOTHING, BUDGET, 0)
    state, answer = hold(released, "a", Amount(60, 0), BUDGET, 0, LEASE_MS)
    assert answer == "settled"
    assert state.reserved == NOTHING


def test_nothing_is_remembered_for_ever() -> None:
    settled, _ = settle(held(Amount(60, 0)), "a", Amount(10, 0), BUDGET, 0)
    assert not expire(settled, SETTLED_KEPT_MS).leases
    assert not expire(held(Amount(60, 0)), LEASE_MS + LATE_MS).leases


def test_costing_more_than_was_reserved_tells_by_how_much_it_went_over() -> None:
    _, over = settle(held(Amount(90, 0)), "a", Amount(130, 0), BUDGET, 0)
    assert over == Amount(30, 0)


def test_an_overshoot_counts_only_its_own_part() -> None:
    state = held(Amount(10, 0), held(Amount(90, 0)), id="b")
    state, first = settle(state, "a", Amount(100, 0), BUDGET, 0)
    state, second = settle(state, "b", Amount(15, 0), BUDGET, 0)
    assert (first, second) == (Amount(10, 0), Amount(5, 0))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 600)), max_size=8), st.integers(0, 2 * LEASE_MS))
def test_when_leases_are_expired_changes_no_sum(amounts: list[tuple[int, int]], at_ms: int) -> None:
    state = BudgetState()
    for number, amount in enumerate(amounts):
        state, _ = hold(state, str(number), Amount(*amount), BUDGET, number * 10_000, LEASE_MS)
    swept = expire(state, at_ms)
    assert swept.settled + swept.reserved == state.settled + state.reserved

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.retry_budget import RetryBudget


def repeated(budget: RetryBudget, now_s: float) -> bool:
    if budget.allows(now_s):
        budget.repeat(now_s)
        return True
    return False


def test_a_quiet_host_may_be_asked_again_up_to_the_floor() -> None:
    budget = RetryBudget(floor=3)
    budget.first(0.0)
    assert [repeated(budget, 0.0) for _ in range(5)] == [True, True, True, False, False]


def test_five_hundred_requests_that_all_fail_become_at_most_five_hundred_and_fifty() -> None:
    budget = RetryBudget()
    again = 0
    for number in range(500):
        budget.first(number * 0.1)
        again += repeated(budget, number * 0.1)
    assert again == 50


def test_what_has_left_the_window_counts_no_more() -> None:
    budget = RetryBudget(floor=1, window_s=60.0)
    assert [repeated(budget, 0.0), repeated(budget, 59.0), repeated(budget, 60.0)] == [True, False, True]


def test_asking_takes_nothing() -> None:
    budget = RetryBudget(floor=1)
    assert [budget.allows(0.0) for _ in range(9)] == [True] * 9


STEPS = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0, 7.0, 61.0]), st.booleans()), max_size=300)


@given(STEPS, st.integers(0, 5))
def test_in_no_window_are_there_more_repeats_than_the_floor_and_the_share(
    steps: list[tuple[float, bool]], floor: int
) -> None:
    budget = RetryBudget(share=0.1, floor=floor, window_s=60.0)
    now_s = 0.0
    firsts: list[float] = []
    repeats: list[float] = []
    for wait_s, is_first in steps:
        now_s += wait_s
        if is_first:
            budget.first(now_s)
            firsts.append(now_s)
        elif repeated(budget, now_s):
            repeats.append(now_s)
            lately = sum(at_s > now_s - 59.0 for at_s in repeats)  # a slice of the window is a second
            assert lately <= max(floor, 0.1 * sum(at_s > now_s - 60.0 for at_s in firsts))

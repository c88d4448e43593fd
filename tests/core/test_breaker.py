from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.breaker import Breaker


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker(threshold=3, open_s=10.0)
    for _ in range(3):
        breaker.failed(at_s)
    return breaker


def test_a_new_breaker_lets_everything_go() -> None:
    breaker = Breaker()
    assert all(breaker.allows(0.0) for _ in range(100))


def test_failures_in_a_row_open_it_and_only_the_last_says_so() -> None:
    breaker = Breaker(threshold=3, open_s=10.0)
    assert [breaker.failed(0.0) for _ in range(4)] == [False, False, True, False]
    assert not breaker.allows(9.9)


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker(threshold=2, open_s=10.0)
    breaker.failed(0.0)
    breaker.succeeded()
    assert not breaker.failed(0.0)
    assert breaker.allows(0.0)


def test_half_open_lets_one_probe_go_and_no_other() -> None:
    breaker = opened()
    assert [breaker.allows(10.0) for _ in range(3)] == [True, False, False]


def test_a_probe_that_is_answered_closes_it_and_says_so_once() -> None:
    breaker = opened()
    breaker.allows(10.0)
    assert [breaker.succeeded(), breaker.succeeded()] == [True, False]
    assert breaker.is_closed
    assert breaker.allows(10.0)


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    breaker = opened()
    breaker.allows(10.0)
    breaker.failed(12.0)
    assert not breaker.allows(21.9)
    assert breaker.allows(22.0)


def test_a_probe_that_never_reports_does_not_leave_it_stuck() -> None:
    breaker = opened()
    assert breaker.allows(10.0)
    assert not breaker.allows(19.9)
    assert breaker.allows(20.0)


def test_asking_whether_it_is_open_takes_no_probe() -> None:
    breaker = opened()
    assert not breaker.is_open(10.0)
    assert breaker.allows(10.0)


def test_it_says_how_long_to_wait() -> None:
    assert opened(at_s=5.0).wait_s(8.0) == pytest.approx(7.0)
    assert Breaker().wait_s(8.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["ask", "fail", "succeed"])), max_size=60))
def test_while_nothing_succeeds_it_lets_at_most_one_call_go_in_each_open_s(steps: list[tuple[float, str]]) -> None:
    breaker, now_s = opened(), 0.0
    last_let_go_s = 0.0
    for wait_s, step in steps:
        now_s += wait_s
        if step == "fail":
            breaker.failed(now_s)
        elif step == "succeed":
            breaker = opened(now_s)
            last_let_go_s = now_s
        elif breaker.allows(now_s):
            assert now_s - last_let_go_s >= breaker.open_s - 1e-6
            last_let_go_s = now_s

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.peak_ewma import UNKNOWN_S, PeakEwma

SECONDS = st.floats(0.001, 100)


def seen(*answers: tuple[float, float]) -> PeakEwma:
    latency = PeakEwma(decay_s=10.0)
    for took_s, at_s in answers:
        latency.observe(took_s, at_s)
    return latency


def test_a_host_that_nothing_is_known_of_is_tried_first() -> None:
    assert PeakEwma().load(0, 5.0) == 0.0
    assert seen((0.1, 5.0)).load(0, 5.0) > 0.0


def test_until_it_has_answered_it_is_asked_no_second_time() -> None:
    assert PeakEwma().load(1, 5.0) > seen((UNKNOWN_S - 1, 5.0)).load(0, 5.0)


def test_a_slow_answer_counts_in_full_at_once() -> None:
    assert seen((0.1, 0.0), (5.0, 0.1)).load(0, 0.1) == pytest.approx(5.0)


def test_a_fast_answer_after_a_slow_one_counts_little_by_little() -> None:
    assert 1.0 < seen((5.0, 0.0), (0.1, 1.0)).load(0, 1.0) < 5.0


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1), st.integers(0, 50))
def test_more_requests_in_flight_are_more_load(answers: list[tuple[float, float]], in_flight: int) -> None:
    at_s = 0.0
    latency = PeakEwma()
    for took_s, later_s in answers:
        at_s += later_s
        latency.observe(took_s, at_s)
    assert latency.load(in_flight + 1, at_s) > latency.load(in_flight, at_s)


@given(st.lists(SECONDS, min_size=1))
def test_the_cost_is_between_the_fastest_and_the_slowest_answer(answers: list[float]) -> None:
    latency = seen(*[(took_s, float(at_s)) for at_s, took_s in enumerate(answers)])
    cost_s = latency.load(0, float(len(answers) - 1))
    assert min(answers) * (1 - 1e-9) <= cost_s <= max(answers) * (1 + 1e-9)


@given(SECONDS, SECONDS, SECONDS)
def test_a_host_that_is_not_asked_is_forgiven(took_s: float, wait_s: float, longer_s: float) -> None:
    latency = seen((took_s, 0.0))
    assert latency.load(0, wait_s + longer_s) < latency.load(0, wait_s) < took_s

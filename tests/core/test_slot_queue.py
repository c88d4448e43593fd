from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.slot_queue import SlotQueue

SLOTS = st.integers(1, 16)
IN_FLIGHT = st.integers(0, 100)
SECONDS = st.floats(0.001, 1_000)


def served(took_s: float, before: int = 0, slots: int = 1) -> SlotQueue:
    queue = SlotQueue()
    queue.answered(took_s, before, slots)
    return queue


@pytest.mark.parametrize(
    ("in_flight", "slots", "wait_s"), [(0, 1, 0), (1, 1, 10), (3, 1, 30), (3, 4, 0), (4, 4, 2.5), (11, 4, 20)]
)
def test_the_wait_is_the_queue_times_an_answers_time_shared_by_the_slots(
    in_flight: int, slots: int, wait_s: float
) -> None:
    assert served(10.0).wait_s(in_flight, slots) == pytest.approx(wait_s)


def test_before_there_was_an_answer_nobody_is_thought_to_wait() -> None:
    assert SlotQueue().wait_s(100, 1) == 0.0


def test_the_average_follows_what_answers_take_now() -> None:
    queue = served(1.0)
    for _ in range(20):
        queue.answered(9.0, 0, 1)
    assert 8.5 < queue.wait_s(1, 1) < 9.0


@given(SECONDS, IN_FLIGHT, SLOTS)
def test_waiting_for_a_slot_does_not_make_an_answer_slower(in_slot_s: float, before: int, slots: int) -> None:
    waited_s = served(in_slot_s).wait_s(before, slots)
    assert served(waited_s + in_slot_s, before, slots).wait_s(1, 1) == pytest.approx(in_slot_s)


@given(SECONDS, IN_FLIGHT, SLOTS)
def test_with_a_free_slot_nobody_waits_and_each_one_more_waits_longer(
    took_s: float, in_flight: int, slots: int
) -> None:
    queue = served(took_s)
    assert (queue.wait_s(in_flight, slots) == 0) == (in_flight < slots)
    if in_flight >= slots:
        assert queue.wait_s(in_flight + 1, slots) > queue.wait_s(in_flight, slots)

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.limits import NO_LIMITS, Answer, DoorState, Limits, Rate, enter, keep, leave

LEASE_MS = 30_000
NOW_MS = 1_800_000_000_250
MINUTE_MS = 60_000
# Milliseconds between requests: crowds, seconds that touch, and pauses around a minute.
GAPS_MS = st.lists(st.one_of(st.integers(0, 3_000), st.integers(59_000, 62_000)), max_size=60)


def visit(limits: Limits, moments_ms: list[int]) -> list[tuple[int, Answer]]:
    """A request of its own id at each moment, which leaves at once."""
    state, answers = DoorState(), []
    for number, now_ms in enumerate(moments_ms):
        state, answer = enter(state, str(number), limits, now_ms, LEASE_MS)
        state = leave(state, [str(number)])
        answers.append((now_ms, answer))
    return answers


@given(st.integers(1, 8), GAPS_MS)
def test_no_minute_wherever_it_begins_has_more_requests_than_the_limit(limit: int, gaps_ms: list[int]) -> None:
    moments = list(itertools.accumulate(gaps_ms, initial=NOW_MS))
    admitted = [now_ms for now_ms, answer in visit(Limits(limit), moments) if answer.refused_by is None]
    for start_ms in admitted:
        assert sum(start_ms <= now_ms < start_ms + MINUTE_MS for now_ms in admitted) <= limit


@given(st.integers(1, 8), GAPS_MS)
def test_a_refused_request_is_let_in_when_it_was_told_to_come_again_and_not_a_millisecond_before(
    limit: int, gaps_ms: list[int]
) -> None:
    state, now_ms = DoorState(), NOW_MS
    for number, gap_ms in enumerate(gaps_ms):
        now_ms += gap_ms
        state, answer = enter(state, str(number), Limits(limit), now_ms, LEASE_MS)
        if answer.refused_by is not None:
            assert 0 < answer.retry_ms <= MINUTE_MS + 1_000
            _, early = enter(state, "early", Limits(limit), now_ms + answer.retry_ms - 1, LEASE_MS)
            _, on_time = enter(state, "on time", Limits(limit), now_ms + answer.retry_ms, LEASE_MS)
            assert (early.refused_by, on_time.refused_by) == ("requests_per_minute", None)


@given(st.integers(1, 8), GAPS_MS)
def test_at_the_reset_all_of_the_limit_is_there_again(limit: int, gaps_ms: list[int]) -> None:
    moments = list(itertools.accumulate(gaps_ms, initial=NOW_MS))
    state, answer = DoorState(), Answer(None, 0, 0, 0)
    for number, now_ms in enumerate(moments):
        state, answer = enter(state, str(number), Limits(limit), now_ms, LEASE_MS)
    _, later = enter(state, "later", Limits(limit), moments[-1] + answer.reset_ms, LEASE_MS)
    assert later.rate(Limits(limit)) == Rate(limit, limit - 1, reset_s=61.0)


def test_slots_are_held_until_they_are_given_back() -> None:
    two = Limits(concurrency=2)
    state, first = enter(DoorState(), "a", two, NOW_MS, LEASE_MS)
    state, second = enter(state, "b", two, NOW_MS, LEASE_MS)
    state, third = enter(state, "c", two, NOW_MS, LEASE_MS)
    _, after = enter(leave(state, ["a"]), "c", two, NOW_MS, LEASE_MS)
    assert [answer.refused_by for answer in (first, second, third, after)] == [None, None, "concurrency", None]


def test_a_slot_nobody_renews_ends_with_its_lease_and_a_renewed_one_does_not() -> None:
    one = Limits(concurrency=1)
    state, _ = enter(DoorState(), "a", one, NOW_MS, LEASE_MS)
    kept = keep(state, ["a"], NOW_MS + LEASE_MS - 1, LEASE_MS)
    at_its_end = NOW_MS + LEASE_MS
    assert enter(state, "b", one, at_its_end - 1, LEASE_MS)[1].refused_by == "concurrency"
    assert enter(state, "b", one, at_its_end, LEASE_MS)[1].refused_by is None
    assert enter(kept, "b", one, at_its_end, LEASE_MS)[1].refused_by == "concurrency"


def test_a_request_that_lives_has_its_slot_again_after_the_state_was_lost() -> None:
    state = keep(DoorState(), ["a"], NOW_MS, LEASE_MS)
    assert enter(state, "b", Limits(concurrency=1), NOW_MS, LEASE_MS)[1].refused_by == "concurrency"


def test_the_same_id_comes_in_once_however_often_it_asks() -> None:
    limits = Limits(1, 1)
    state, first = enter(DoorState(), "a", limits, NOW_MS, LEASE_MS)
    again = enter(state, "a", limits, NOW_MS, LEASE_MS)
    assert again == (state, first)


def test_what_one_limit_refuses_the_other_does_not_count() -> None:
    limits = Limits(requests_per_minute=5, concurrency=1)
    state, _ = enter(DoorState(), "a", limits, NOW_MS, LEASE_MS)
    state, refused = enter(state, "b", limits, NOW_MS, LEASE_MS)
    assert (refused.refused_by, refused.rate(limits)) == ("concurrency", Rate(5, 4, 60.75))


def test_a_clock_set_back_by_a_day_keeps_nobody_out() -> None:
    one = Limits(1)
    state, _ = enter(DoorState(), "a", one, NOW_MS + 86_400_000, LEASE_MS)
    assert enter(state, "b", one, NOW_MS, LEASE_MS)[1].refused_by is None


def test_a_clock_set_back_by_seconds_lets_nobody_in_twice() -> None:
    one = Limits(1)
    state, _ = enter(DoorState(), "a", one, NOW_MS + 5_000, LEASE_MS)
    _, answer = enter(state, "b", one, NOW_MS, LEASE_MS)
    assert (answer.refused_by, answer.retry_ms) == ("requests_per_minute", 65_750)


def test_where_nothing_is_limited_everything_is_counted_all_the_same() -> None:
    state, answer = enter(DoorState(), "a", NO_LIMITS, NOW_MS, LEASE_MS)
    assert (answer.refused_by, answer.rate(NO_LIMITS)) == (None, None)
    assert enter(state, "b", Limits(1), NOW_MS, LEASE_MS)[1].refused_by == "requests_per_minute"


def test_nothing_is_limited_unless_a_limit_is_set() -> None:
    assert [bool(limits) for limits in (NO_LIMITS, Limits(1), Limits(None, 1))] == [False, True, True]


@pytest.mark.parametrize("limits", [{"requests_per_minute": 0}, {"concurrency": -1}])
def test_a_limit_that_lets_nobody_in_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one request"):
        Limits(**limits)

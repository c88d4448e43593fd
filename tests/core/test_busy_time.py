from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.busy_time import BusyTime

visits = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted), max_size=20)


@given(visits)
def test_it_is_the_length_of_what_all_visits_cover_together(visits: list[list[int]]) -> None:
    busy = BusyTime()
    moments = sorted([(begin, 0) for begin, _ in visits] + [(end, 1) for _, end in visits])
    for moment, is_end in moments:
        (busy.leave if is_end else busy.enter)(moment)
    covered = {second for begin, end in visits for second in range(begin, end)}
    assert busy.total_s(1_000) == len(covered)


def test_who_is_still_there_counts_until_now() -> None:
    busy = BusyTime()
    busy.enter(10)
    assert busy.total_s(12) == 2
    busy.enter(13)
    busy.leave(14)
    assert busy.total_s(15) == 5

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.recent_times import LEAST, MOST, RecentTimes


def known(times_s: list[float]) -> RecentTimes:
    recent = RecentTimes()
    for time_s in times_s:
        recent.add(time_s)
    return recent


def test_of_too_few_nothing_is_said() -> None:
    assert known([1.0] * (LEAST - 1)).quantile_s(0.95) is None


def test_one_in_twenty_is_above_it() -> None:
    assert known([float(at) for at in range(100)]).quantile_s(0.95) == 95.0


def test_what_is_long_ago_is_forgotten() -> None:
    assert known([9.0] * 500 + [1.0] * MOST).quantile_s(0.95) == 1.0


@given(st.lists(st.floats(0, 100), min_size=LEAST, max_size=MOST), st.floats(0, 1))
def test_about_that_share_is_at_or_below_it(times_s: list[float], share: float) -> None:
    quantile_s = known(times_s).quantile_s(share)
    assert quantile_s is not None
    below = sum(time_s <= quantile_s for time_s in times_s)
    assert below / len(times_s) >= share - 1e-9 or quantile_s == max(times_s)

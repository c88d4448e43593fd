from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.window import BUCKETS, LENGTH_S, WindowKind, WindowRule, WindowStyle, window_of

KINDS: tuple[WindowKind, ...] = get_args(WindowKind)
# With summer time at midnight (Havana, Cairo), by half an hour (Lord Howe), without (Kathmandu), and in the south.
ZONES = [
    UTC,
    *map(
        ZoneInfo,
        [
            "Europe/Berlin",
            "America/New_York",
            "America/Havana",
            "Africa/Cairo",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Pacific/Auckland",
        ],
    ),
]
STYLES: tuple[WindowStyle, ...] = get_args(WindowStyle)
RULES = st.builds(WindowRule, st.sampled_from(KINDS), st.sampled_from(STYLES), st.sampled_from(ZONES))
CUT = st.builds(WindowRule, st.sampled_from(KINDS), st.sampled_from(["calendar", "fixed"]), st.sampled_from(ZONES))
MOMENTS = st.floats(
    datetime(2024, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()
) | st.integers(1_700_000_000 // 900, 4_000_000_000 // 900).map(lambda quarter_hours: quarter_hours * 900.0)
BERLIN = ZoneInfo("Europe/Berlin")


def unix(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]  # a plain tuple of numbers


@pytest.mark.parametrize(
    ("kind", "id", "start", "end"),
    [
        ("minute", "minute:2026-11-28T14:05", (2026, 11, 28, 14, 5), (2026, 11, 28, 14, 6)),
        ("hour", "hour:2026-11-28T14", (2026, 11, 28, 14), (2026, 11, 28, 15)),
        ("day", "day:2026-11-28", (2026, 11, 28), (2026, 11, 29)),
        ("week", "week:2026-11-23", (2026, 11, 23), (2026, 11, 30)),
        ("month", "month:2026-11", (2026, 11, 1), (2026, 12, 1)),
    ],
)
def test_a_calendar_window_is_utcs_unless_a_zone_is_named(
    kind: WindowKind, id: str, start: tuple[int, ...], end: tuple[int, ...]
) -> None:
    window = window_of(WindowRule(kind), unix(2026, 11, 28, 14, 5, 59))
    assert (window.id, window.start_s, window.end_s) == (id, unix(*start), unix(*end))


def test_a_week_begins_on_monday() -> None:
    assert window_of(WindowRule("week"), unix(2026, 11, 29, 23, 59, 59)).id == "week:2026-11-23"
    assert window_of(WindowRule("week"), unix(2026, 11, 30)).id == "week:2026-11-30"


def test_a_month_knows_leap_years_and_december() -> None:
    february, december = (window_of(WindowRule("month"), unix(*day)) for day in ((2028, 2, 29), (2026, 12, 31)))
    assert february.end_s - february.start_s == 29 * 86_400
    assert december.end_s == unix(2027, 1, 1)


def test_a_day_of_a_zone_begins_at_its_midnight() -> None:
    window = window_of(WindowRule("day", zone=BERLIN), unix(2026, 11, 28, 23, 30))
    assert (window.id, window.start_s) == ("day:2026-11-29", unix(2026, 11, 28, 23))


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 11, 28), 24)])
def test_a_day_of_the_change_of_clocks_has_an_hour_more_or_less(day: tuple[int, int, int], hours: int) -> None:
    window = window_of(WindowRule("day", zone=BERLIN), unix(*day, 12))
    assert window.end_s - window.start_s == hours * 3_600


def test_a_week_and_a_month_with_the_change_in_them_have_an_hour_more_or_less() -> None:
    week = window_of(WindowRule("week", zone=BERLIN), unix(2026, 10, 23))
    month = window_of(WindowRule("month", zone=BERLIN), unix(2026, 3, 10))
    assert week.end_s - week.start_s == 7 * 86_400 + 3_600
    assert month.end_s - month.start_s == 31 * 86_400 - 3_600


def test_the_hour_that_clocks_repeat_is_two_hours() -> None:
    rule = WindowRule("hour", zone=BERLIN)
    assert window_of(rule, unix(2026, 10, 25, 0, 30)).id != window_of(rule, unix(2026, 10, 25, 1, 30)).id


def test_where_clocks_skip_midnight_the_day_begins_with_the_skip() -> None:
    cairo = WindowRule("day", zone=ZoneInfo("Africa/Cairo"))
    window = window_of(cairo, unix(2026, 4, 24, 12))  # 00:00 does not exist on that Friday, it is 01:00 at once
    assert (window.start_s, window.end_s - window.start_s) == (unix(2026, 4, 23, 22), 23 * 3_600)


def test_a_fixed_window_is_counted_from_the_epoch() -> None:
    window = window_of(WindowRule("month", "fixed"), unix(2026, 11, 28))
    assert (window.id, window.start_s % (30 * 86_400)) == ("fixed-month:692", 0)
    assert window.end_s - window.start_s == 30 * 86_400


def test_a_sliding_window_has_one_id_for_ever_and_counts_whole_buckets() -> None:
    rule = WindowRule("hour", "sliding")
    window = window_of(rule, unix(2026, 11, 28, 14, 5, 59))
    assert rule.bucket_s == 60
    assert (window.start_s, window.end_s) == (unix(2026, 11, 28, 13, 5), unix(2026, 11, 28, 14, 6))
    assert window.id == window_of(rule, 0).id == "sliding-hour"


def test_in_every_zone_days_begin_on_a_quarter_of_an_hour() -> None:
    days = [WindowRule("day", zone=ZoneInfo(name)) for name in available_timezones()]
    starts_s = [window_of(day, unix(2026, month, 1)).start_s for day in days for month in range(1, 13)]
    assert {start_s % 900 for start_s in starts_s} == {0}


@pytest.mark.parametrize("kind", KINDS)
def test_every_length_is_a_whole_number_of_seconds_a_bucket(kind: WindowKind) -> None:
    assert LENGTH_S[kind] % BUCKETS == 0


@given(RULES, MOMENTS)
def test_every_moment_is_in_its_window(rule: WindowRule, at_s: float) -> None:
    window = window_of(rule, at_s)
    assert window.start_s <= at_s < window.end_s


@given(CUT, MOMENTS)
def test_the_next_window_follows_without_a_gap(rule: WindowRule, at_s: float) -> None:
    window = window_of(rule, at_s)
    assert window_of(rule, window.start_s) == window
    after = window_of(rule, window.end_s)
    assert (after.start_s, after.id == window.id) == (window.end_s, False)


@given(st.builds(WindowRule, st.sampled_from(KINDS), st.just("sliding")), MOMENTS, st.floats(0, 1, exclude_max=True))
def test_what_a_sliding_window_counts_contains_every_stretch_of_its_length_that_ends_now(
    rule: WindowRule, at_s: float, before: float
) -> None:
    window = window_of(rule, at_s)
    assert window.start_s <= at_s - before * LENGTH_S[rule.kind]


@given(st.sampled_from(KINDS), st.sampled_from(KINDS), MOMENTS)
def test_no_two_rules_of_a_kind_or_style_share_an_id(one: WindowKind, other: WindowKind, at_s: float) -> None:
    ids = {window_of(WindowRule(kind, style), at_s).id for kind in {one, other} for style in STYLES}
    assert len(ids) == len({one, other}) * len(STYLES)

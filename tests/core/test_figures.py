from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.events import RequestFinished
from gateway.core.figures import DIVISIONS, Days, Spend, figures, forecast, kept_days, month_of
from gateway.core.tally import date_of, day_of
from gateway.core.totals import NOTHING, Totals
from tests.core.test_tally import CHECKED, MONDAY, SAVED, Told, tallied
from tests.core.told import DAY_S, NOON_S, moments, requests

SUNDAY_S = NOON_S - DAY_S
LAST_MONTH_S = NOON_S - 30 * DAY_S
SEARCHED = replace(SAVED, service="search", tier="heavy", model="opus", cost_nano_usd=3_000_000_000)


def test_today_this_month_and_the_range_are_apart() -> None:
    told = [(SAVED, NOON_S), (SAVED, SUNDAY_S), (SAVED, LAST_MONTH_S)]
    shown = figures(tallied(told).totals(), NOON_S, Days(MONDAY - 30, MONDAY - 1))
    assert [spend.sums.requests for spend in (shown.today, shown.month, shown.chosen)] == [1, 2, 2]
    assert [day for day, _ in shown.by_day] == [MONDAY - 30, MONDAY - 1]


def test_the_range_is_this_month_unless_it_is_chosen() -> None:
    shown = figures(Totals(), NOON_S)
    assert (date_of(shown.chosen_days.first), shown.chosen_days.last) == (date(2026, 11, 1), MONDAY)
    assert shown.chosen == Spend()


def test_a_service_sees_only_what_is_its_own() -> None:
    told: list[Told] = [(SAVED, NOON_S), (SEARCHED, NOON_S), (CHECKED, NOON_S)]
    shown = figures(tallied(told).totals(), NOON_S, service="search")
    assert [name for name, _ in shown.by["service"]] == ["search"]
    assert {one.service for one in shown.recent} == {"search"}
    assert shown.checks == {}
    assert shown.month.total_nano_usd == 3_000_000_000


def test_a_division_has_the_dearest_first() -> None:
    shown = figures(tallied([(SAVED, NOON_S), (SEARCHED, NOON_S)]).totals(), NOON_S)
    assert [name for name, _ in shown.by["model"]] == ["opus", "flash"]
    assert [name for name, _ in shown.by["service"]] == ["search", "shop"]


def test_a_check_costs_its_service_and_saves_less() -> None:
    shown = figures(tallied([(SAVED, NOON_S), (CHECKED, NOON_S)]).totals(), NOON_S)
    ((_, shop),) = shown.by["service"]
    assert shop.total_nano_usd == shown.today.total_nano_usd == 250_000_007
    assert shown.today.net_saved_nano_usd == 1_100_000_000 - 100_000_000 - 7
    assert shown.checks == {"different": 1}
    assert shown.overhead == {"failed_attempt": 100_000_000, "shadow": 7}


def test_the_latest_request_is_first() -> None:
    told = [(replace(SAVED, request_id=f"req_{number}"), NOON_S + number) for number in range(3)]
    assert [one.id for one in figures(tallied(told).totals(), NOON_S).recent] == ["req_2", "req_1", "req_0"]


@given(events=st.lists(st.tuples(requests(), moments), max_size=12))
def test_each_division_adds_up_to_the_range(events: list[tuple[RequestFinished, float]]) -> None:
    shown = figures(tallied(sorted(events, key=lambda told: told[1])).totals(), NOON_S)
    for name in DIVISIONS:
        assert sum((spend.sums for _, spend in shown.by[name]), NOTHING) == shown.chosen.sums
    assert sum((spend.sums for _, spend in shown.by_day), NOTHING) == shown.chosen.sums


@given(events=st.lists(st.tuples(requests(), moments), max_size=12))
def test_baseline_less_cost_is_what_was_saved_less_what_was_paid_beside(
    events: list[tuple[RequestFinished, float]],
) -> None:
    compared = [(event, at_s) for event, at_s in events if event.baseline]
    sums = figures(tallied(sorted(compared, key=lambda told: told[1])).totals(), NOON_S).chosen.sums
    assert sums.baseline_nano_usd - sums.compared_nano_usd == sums.saved_nano_usd - sums.overhead_nano_usd


def test_the_forecast_goes_on_at_the_pace_of_the_last_whole_days() -> None:
    by_day = {MONDAY - 10: 10**9, **{MONDAY - back: 1_000 * back for back in range(1, 8)}, MONDAY: 77}
    said = forecast(by_day, NOON_S)
    so_far = 10**9 + 28_000 + 77
    assert (said.pace_nano_usd, said.whole_days, said.days_left) == (4_000, 7, 7.5)
    assert (said.low_nano_usd, said.nano_usd, said.high_nano_usd) == (
        so_far + 7_500,
        so_far + 30_000,
        so_far + 52_500,
    )


def test_days_without_requests_count_from_the_first_that_had_some() -> None:
    said = forecast({MONDAY - 3: 9_000, MONDAY: 0}, NOON_S)
    assert (said.whole_days, said.pace_nano_usd) == (3, 3_000)


def test_on_the_first_day_the_pace_is_todays_so_far() -> None:
    said = forecast({MONDAY: 500}, NOON_S)
    assert (said.whole_days, said.pace_nano_usd, said.nano_usd) == (0, 1_000, 500 + 7_500)


def test_a_minute_after_midnight_is_no_pace() -> None:
    said = forecast({MONDAY: 500}, MONDAY * DAY_S + 60)
    assert said.pace_nano_usd == 500 * 24


def test_nothing_spent_is_nothing_forecast() -> None:
    assert forecast({}, NOON_S).nano_usd == 0


@given(by_day=st.dictionaries(st.integers(MONDAY - 50, MONDAY), st.integers(0, 10**12)), at_s=st.integers(0, DAY_S - 1))
def test_the_forecast_is_never_below_what_was_spent(by_day: dict[int, int], at_s: int) -> None:
    said = forecast(by_day, MONDAY * DAY_S + at_s)
    spent = sum(nano for day, nano in by_day.items() if day >= day_of(date(2026, 11, 1)))
    assert spent <= said.low_nano_usd <= said.nano_usd <= said.high_nano_usd


@given(moment=st.dates(date(1971, 1, 1), date(9998, 1, 1)))
def test_a_month_ends_where_the_next_begins(moment: date) -> None:
    first, end = month_of(day_of(moment))
    assert first <= day_of(moment) < end
    assert date_of(first).day == date_of(end).day == 1
    assert 28 <= end - first <= 31
    assert kept_days(day_of(moment) * DAY_S).first == month_of(first - 1)[0]

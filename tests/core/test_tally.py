from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.events import CacheVerdict, HitChecked, RequestFinished
from gateway.core.savings import CauseSaved, Overhead
from gateway.core.tally import OTHER, Tally, date_of, day_of, first_kept_day, today
from gateway.core.totals import KEPT_REQUESTS, NOTHING, Kind, PartKey, Sums, Totals, decode, merged
from tests.adapters.happened import ANSWERED
from tests.core.told import DAY_S, NOON_S, moments, requests, told

Told = tuple[RequestFinished | HitChecked, float]
MONDAY = 20_780
SAVED = replace(
    ANSWERED,
    baseline="opus",
    baseline_nano_usd=1_250_000_000,
    savings=(CauseSaved("tier", 1_100_000_000),),
    overheads=(Overhead("failed_attempt", 100_000_000),),
    last_month="terra",
    last_month_nano_usd=3_000_000_000,
)
CHECKED = HitChecked("req_1", "shop", "flash", "different", False, 0.1, 7, 1.0, 0.2, 1.0)


def tallied(events: Iterable[Told], max_rows: int = 1_000) -> Tally:
    tally = Tally(max_rows)
    for event, at_s in events:
        if isinstance(event, RequestFinished):
            tally.finished(event, at_s)
        else:
            tally.checked(event, at_s)
    return tally


def all_of(totals: Totals) -> Sums:
    return sum(totals.rows.values(), NOTHING)


def test_a_request_is_counted_where_it_belongs() -> None:
    totals = tallied([(SAVED, NOON_S), (SAVED, NOON_S)]).totals()
    kind = Kind(MONDAY, "shop", "light", "deep", "flash", "miss", "ok")
    sums = Sums(
        2, 200, 60, 40, 500_000_000, 500_000_000, 2_500_000_000, 2_200_000_000, 200_000_000, 500_000_000, 6_000_000_000
    )
    assert totals.rows == {kind: sums}
    assert totals.parts == {
        PartKey(MONDAY, "shop", "baseline", "opus"): 2_500_000_000,
        PartKey(MONDAY, "shop", "saved", "tier"): 2_200_000_000,
        PartKey(MONDAY, "shop", "overhead", "failed_attempt"): 200_000_000,
        PartKey(MONDAY, "shop", "last_month", "terra"): 6_000_000_000,
    }


def test_what_a_cache_answered_charged_no_tokens() -> None:
    caches: tuple[CacheVerdict, ...] = ("hit", "semantic-hit", "joined")
    sums = all_of(tallied([(replace(SAVED, cache=cache, cost_nano_usd=0), NOON_S) for cache in caches]).totals())
    assert (sums.requests, sums.input_tokens, sums.output_tokens) == (3, 0, 0)


def test_a_check_is_counted_by_its_verdict_and_costs_beside_the_requests() -> None:
    totals = tallied([(CHECKED, NOON_S), (CHECKED, NOON_S)]).totals()
    assert totals.rows == {}
    assert totals.parts == {
        PartKey(MONDAY, "shop", "checked", "different"): 2,
        PartKey(MONDAY, "shop", "overhead", "shadow"): 14,
    }


def test_the_last_requests_are_kept_and_no_more() -> None:
    events = [(replace(SAVED, request_id=f"req_{number}"), NOON_S + number) for number in range(KEPT_REQUESTS + 5)]
    recent = tallied(events).totals().recent
    assert [one.id for one in recent] == [f"req_{number}" for number in range(5, KEPT_REQUESTS + 5)]
    assert (recent[0].cost_nano_usd, recent[0].saved_nano_usd, recent[0].at_s) == (250_000_000, 750_000_000, NOON_S + 5)


@given(events=told)
def test_every_nano_dollar_is_in_the_sums(events: list[Told]) -> None:
    totals = tallied(events).totals()
    finished = [event for event, _ in events if isinstance(event, RequestFinished)]
    sums = all_of(totals)
    assert sums.requests == len(finished)
    assert sums.cost_nano_usd == sum(event.cost_nano_usd for event in finished)
    assert sums.baseline_nano_usd == sum(event.baseline_nano_usd for event in finished)
    for part, column in (("saved", sums.saved_nano_usd), ("baseline", sums.baseline_nano_usd)):
        assert sum(amount for key, amount in totals.parts.items() if key.part == part) == column


@given(events=told, cut=st.integers(0, 12))
def test_two_tallies_add_up_to_the_one_that_hears_both(events: list[Told], cut: int) -> None:
    events.sort(key=lambda told: told[1])
    parts = [tallied(events[:cut]).totals(), tallied(events[cut:]).totals()]
    assert parts[0] + parts[1] == merged(part.encode() for part in parts) == tallied(events).totals()


@given(events=told)
def test_totals_are_read_as_they_were_written(events: list[Told]) -> None:
    totals = tallied(events).totals()
    assert decode(totals.encode()) == totals


@given(events=st.lists(st.tuples(requests(), moments), max_size=20))
def test_beyond_the_most_rows_sums_stay_right(events: list[tuple[RequestFinished, float]]) -> None:
    events.sort(key=lambda told: told[1])
    few, many = tallied(events, max_rows=2).totals(), tallied(events).totals()
    assert all_of(few) == all_of(many)
    named = [kind for kind in few.rows if kind.service != OTHER]
    assert len(named) <= 2
    assert days(few) == days(many)


def days(totals: Totals) -> dict[int, Sums]:
    rows = sorted(totals.rows.items(), key=lambda row: row[0].day)
    return {
        day: sum((sums for _, sums in of_day), NOTHING) for day, of_day in groupby(rows, key=lambda row: row[0].day)
    }


def test_what_one_of_several_does_not_know_yet_is_not_known_to_all() -> None:
    whole, part = Totals(), Totals(complete=False)
    assert merged([whole.encode(), whole.encode()]).complete
    assert not merged([whole.encode(), part.encode()]).complete


def test_what_was_before_last_month_is_dropped_when_a_day_begins() -> None:
    first_kept = first_kept_day(MONDAY)
    old, kept = (first_kept - 1) * DAY_S, first_kept * DAY_S
    totals = tallied([(SAVED, old), (SAVED, kept), (SAVED, NOON_S)]).totals()
    assert {kind.day for kind in totals.rows} == {key.day for key in totals.parts} == {first_kept, MONDAY}


def test_last_month_is_kept_from_its_first_day() -> None:
    assert date_of(first_kept_day(day_of(date(2026, 11, 30)))) == date(2026, 10, 1)
    assert date_of(first_kept_day(day_of(date(2027, 1, 1)))) == date(2026, 12, 1)


@given(moment=st.dates(date(1970, 1, 1)))
def test_days_are_dates_and_back(moment: date) -> None:
    assert date_of(day_of(moment)) == moment
    assert today(day_of(moment) * DAY_S + DAY_S - 1) == day_of(moment)

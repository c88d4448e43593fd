"""What is shown of the totals: a day, a month and its forecast, and the division of a range of days. Pure sums.

All days are UTC's, and all money is in integer nano-dollars. The cost of requests is what their answers' headers add up
to; what checks of semantic hits have cost comes on top of it, and `total` is both: what providers have charged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from gateway.core.tally import date_of, day_of, first_kept_day
from gateway.core.totals import DAY_S, NOTHING, Kind, Part, PartKey, Recent, Sums, Totals

K = TypeVar("K", int, str)

CHECKS = frozenset({"shadow", "judge"})
"""Kinds of overhead that are behind the answers, in no request's cost."""
_PACE_DAYS = 7
_HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Days:
    """From one day up to and including another, counted from 1970."""

    first: int
    last: int

    def __contains__(self, day: int) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Spend:
    """`sums` of the requests, and what checks of hits cost on top."""

    sums: Sums = NOTHING
    checks_nano_usd: int = 0

    @property
    def total_nano_usd(self) -> int:
        return self.sums.cost_nano_usd + self.checks_nano_usd

    @property
    def net_saved_nano_usd(self) -> int:
        """What is left of the savings after everything the gateway spent to get them; may be below zero."""
        return self.sums.saved_nano_usd - self.sums.overhead_nano_usd - self.checks_nano_usd


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the month will have cost at its end, if the days that are left are like those before.

    `pace_nano_usd` is what a day costs: the mean of the `whole_days` before today, seven at most and none before the
    first request; without one, today's so far, stretched to a day (an hour at least is taken to have passed). `low` and
    `high` are the same with the cheapest and the dearest of those days; a range, not an interval of confidence.
    """

    nano_usd: int
    low_nano_usd: int
    high_nano_usd: int
    pace_nano_usd: int
    whole_days: int
    days_left: float


@dataclass(frozen=True, slots=True)
class Figures:
    """`by` divides the range: by service, tier, provider, model, cache and outcome, the dearest first. `saved`,
    `overhead`, `baselines`, `last_month` (the second baseline's models) and `checks` (counts, by verdict) are the
    range's as well; `by_day` has each of its days that had requests. `recent` is newest first."""

    chosen_days: Days
    today: Spend
    month: Spend
    forecast: Forecast
    chosen: Spend
    by: Mapping[str, tuple[tuple[str, Spend], ...]] = field(default_factory=dict)
    saved: Mapping[str, int] = field(default_factory=dict)
    overhead: Mapping[str, int] = field(default_factory=dict)
    baselines: Mapping[str, int] = field(default_factory=dict)
    last_month: Mapping[str, int] = field(default_factory=dict)
    checks: Mapping[str, int] = field(default_factory=dict)
    by_day: tuple[tuple[int, Spend], ...] = ()
    recent: tuple[Recent, ...] = ()


DIVISIONS: Mapping[str, Callable[[Kind], str]] = {
    "service": lambda kind: kind.service,
    "tier": lambda kind: kind.tier or NONE,
    "provider": lambda kind: kind.provider or NONE,
    "model": lambda kind: kind.model or NONE,
    "cache": lambda kind: kind.cache,
    "outcome": lambda kind: kind.outcome,
}
NONE = "none"
"""Of requests for which no model was chosen: they were refused, or wrong."""


def figures(totals: Totals, now_s: float, chosen: Days | None = None, service: str | None = None) -> Figures:
    """`chosen` None: this month until today. With a `service`, its own only."""
    mine = totals if service is None else _of_service(totals, service)
    day = int(now_s // DAY_S)
    month = Days(day_of(date_of(day).replace(day=1)), day)
    chosen = chosen or month
    by_day = _by_day(mine)
    rows = [(kind, sums) for kind, sums in mine.rows.items() if kind.day in chosen]
    return Figures(
        chosen_days=chosen,
        today=by_day.get(day, Spend()),
        month=_spend(by_day, month),
        forecast=forecast({day: spend.total_nano_usd for day, spend in by_day.items()}, now_s),
        chosen=_spend(by_day, chosen),
        by={name: _division(rows, mine, name, chosen) for name in DIVISIONS},
        saved=_named(mine, "saved", chosen),
        overhead=_named(mine, "overhead", chosen),
        baselines=_named(mine, "baseline", chosen),
        last_month=_named(mine, "last_month", chosen),
        checks=_named(mine, "checked", chosen),
        by_day=tuple((day, by_day[day]) for day in sorted(by_day) if day in chosen),
        recent=mine.recent[::-1],
    )


def kept_days(now_s: float) -> Days:
    """What can be chosen."""
    day = int(now_s // DAY_S)
    return Days(first_kept_day(day), day)


def forecast(nano_usd_by_day: Mapping[int, int], now_s: float) -> Forecast:
    """Of the month of now, from what each day has cost; see `Forecast`."""
    day, gone_s = divmod(int(now_s), DAY_S)
    first, end = month_of(day)
    left_s = end * DAY_S - int(now_s)
    so_far = sum(spent for of_day, spent in nano_usd_by_day.items() if first <= of_day <= day)
    began = min(nano_usd_by_day, default=day)
    before = [nano_usd_by_day.get(one, 0) for one in range(max(began, day - _PACE_DAYS), day)]
    paces = before or [nano_usd_by_day.get(day, 0) * DAY_S // max(gone_s, _HOUR_S)]
    pace = sum(paces) // len(paces)
    low, middle, high = (so_far + one * left_s // DAY_S for one in (min(paces), pace, max(paces)))
    return Forecast(middle, low, high, pace, len(before), left_s / DAY_S)


def month_of(day: int) -> tuple[int, int]:
    """Its first day, and the first of the next month."""
    first = date_of(day).replace(day=1)
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return day_of(first), day_of(after)


def _of_service(totals: Totals, service: str) -> Totals:
    return Totals(
        {kind: sums for kind, sums in totals.rows.items() if kind.service == service},
        {key: amount for key, amount in totals.parts.items() if key.service == service},
        tuple(one for one in totals.recent if one.service == service),
        totals.complete,
    )


def _by_day(totals: Totals) -> dict[int, Spend]:
    requests = _added((kind.day, sums) for kind, sums in totals.rows.items())
    checks = _counted((key.day, amount) for key, amount in totals.parts.items() if _is_check(key))
    return {day: Spend(requests.get(day, NOTHING), checks.get(day, 0)) for day in requests.keys() | checks.keys()}


def _is_check(key: PartKey) -> bool:
    return key.part == "overhead" and key.name in CHECKS


def _spend(by_day: Mapping[int, Spend], days: Days) -> Spend:
    of_days = [spend for day, spend in by_day.items() if day in days]
    return Spend(sum((spend.sums for spend in of_days), NOTHING), sum(spend.checks_nano_usd for spend in of_days))


def _division(
    rows: Iterable[tuple[Kind, Sums]], totals: Totals, name: str, days: Days
) -> tuple[tuple[str, Spend], ...]:
    """Checks are known by service only."""
    of = DIVISIONS[name]
    requests = _added((of(kind), sums) for kind, sums in rows)
    checks: dict[str, int] = {}
    if name == "service":
        parts = totals.parts.items()
        checks = _counted((key.service, amount) for key, amount in parts if key.day in days and _is_check(key))
    spends = {one: Spend(requests.get(one, NOTHING), checks.get(one, 0)) for one in requests.keys() | checks.keys()}
    return tuple(sorted(spends.items(), key=lambda item: (-item[1].total_nano_usd, -item[1].sums.requests, item[0])))


def _named(totals: Totals, part: Part, days: Days) -> dict[str, int]:
    """Largest first."""
    chosen = ((key.name, amount) for key, amount in totals.parts.items() if key.part == part and key.day in days)
    return dict(sorted(_counted(chosen).items(), key=lambda item: (-item[1], item[0])))


def _added(pairs: Iterable[tuple[K, Sums]]) -> dict[K, Sums]:
    added: dict[K, Sums] = {}
    for key, sums in pairs:
        added[key] = added.get(key, NOTHING) + sums
    return added


def _counted(pairs: Iterable[tuple[K, int]]) -> dict[K, int]:
    counted: dict[K, int] = {}
    for key, amount in pairs:
        counted[key] = counted.get(key, 0) + amount
    return counted

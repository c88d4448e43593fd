"""Adds up what requests tell, as they end: the running sums behind `/v1/thriftgate/figures` and what shows them.

It is on the way of every request, so it only adds (`Totals` does the rest when somebody looks), and it is bounded: days
before last month are dropped, and what would be a row beyond MAX_ROWS is counted under `other`, where sums stay right
and only the division is lost.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta

from gateway.core.events import HitChecked, RequestFinished
from gateway.core.totals import DAY_S, KEPT_REQUESTS, Kind, PartKey, Recent, Sums, Totals, recent_of

MAX_ROWS = 20_000
"""About 15 MB. Sixty days of ten services, each with ten models in three tiers, are 18,000."""
OTHER = "other"
_EPOCH = date(1970, 1, 1)
_FROM_CACHE = frozenset({"hit", "semantic-hit", "joined"})
"""Their usage is the original answer's, and was not charged again."""

_COLUMNS = len(fields(Sums))
_Key = tuple[int, str, str | None, str | None, str | None, str, str]


class Tally:
    """Not for two threads at once."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self._rows: dict[_Key, list[int]] = {}
        self._parts: defaultdict[tuple[int, str, str, str], int] = defaultdict(int)
        self._recent: deque[tuple[RequestFinished, float]] = deque(maxlen=KEPT_REQUESTS)
        self._day = 0

    def finished(self, event: RequestFinished, at_s: float) -> None:
        """`at_s` is Unix time, when it ended."""
        day = int(at_s // DAY_S)
        key = (day, event.service, event.tier, event.provider, event.model, event.cache, event.outcome)
        row = self._rows.get(key) or self._row(key)
        row[0] += 1
        if event.cache not in _FROM_CACHE:
            usage = event.usage
            row[1] += usage.input_tokens
            row[2] += usage.cache_read_tokens
            row[3] += usage.output_tokens
        cost = event.cost_nano_usd
        row[4] += cost
        for saved in event.savings:
            row[7] += saved.nano_usd
            self._part((day, event.service, "saved", saved.cause), saved.nano_usd)
        for overhead in event.overheads:
            row[8] += overhead.nano_usd
            self._part((day, event.service, "overhead", overhead.kind), overhead.nano_usd)
        if event.baseline is not None:
            row[5] += cost
            row[6] += event.baseline_nano_usd
            self._part((day, event.service, "baseline", event.baseline), event.baseline_nano_usd)
        if event.last_month is not None:
            sober = event.last_month_nano_usd
            row[9] += cost
            row[10] += sober
            self._part((day, event.service, "last_month", event.last_month), sober)
        self._recent.append((event, at_s))

    def checked(self, event: HitChecked, at_s: float) -> None:
        """What the check of a hit cost is on top of every request's cost."""
        day = int(at_s // DAY_S)
        if event.of == "hit":
            self._part((day, event.service, "checked", event.verdict), 1)
        judge = event.judge_nano_usd
        for kind, nano_usd in (("shadow", event.cost_nano_usd - judge), ("judge", judge)):
            if nano_usd:
                self._part((day, event.service, "overhead", kind), nano_usd)

    def totals(self) -> Totals:
        """A copy of what there is; later requests do not change it."""
        rows = {Kind._make(key): Sums(*row) for key, row in self._rows.items()}
        parts = {PartKey._make(key): amount for key, amount in self._parts.items()}
        return Totals(rows, parts, self._latest())

    def _latest(self) -> tuple[Recent, ...]:
        return tuple(recent_of(event, at_s) for event, at_s in self._recent)

    def _row(self, key: _Key) -> list[int]:
        """A new one; or that of what is not told apart any more."""
        if key[0] > self._day:
            self._begin(key[0])
        if len(self._rows) >= self._max_rows:
            key = (key[0], OTHER, None, None, None, key[5], key[6])
        return self._rows.setdefault(key, [0] * _COLUMNS)

    def _part(self, key: tuple[int, str, str, str], amount: int) -> None:
        parts = self._parts
        if key not in parts and len(parts) >= self._max_rows:
            key = (key[0], OTHER, *key[2:])
        parts[key] += amount

    def _begin(self, day: int) -> None:
        """The first row of a day: what was before last month is over."""
        self._day = day
        first = first_kept_day(day)
        self._rows = {key: row for key, row in self._rows.items() if key[0] >= first}
        self._parts = defaultdict(int, {key: amount for key, amount in self._parts.items() if key[0] >= first})


def first_kept_day(day: int) -> int:
    """The first of the month before that of the day; days are counted from 1970."""
    first_of_month = (_EPOCH + timedelta(days=day)).replace(day=1)
    return ((first_of_month - timedelta(days=1)).replace(day=1) - _EPOCH).days


def day_of(moment: date) -> int:
    return (moment - _EPOCH).days


def date_of(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def today(unix_s: float) -> int:
    return day_of(datetime.fromtimestamp(unix_s, UTC).date())

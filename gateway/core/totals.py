"""What requests amounted to, as a value: sums by day and kind, their parts by cause, and the latest requests.

Totals of several processes, or of several times, add up: `one + other` is what one tally of both would have. Money is
in integer nano-dollars, days are UTC's, counted from 1970. Nothing in here is of a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields
from heapq import merge
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import orjson

from gateway.core.events import CacheVerdict, Endpoint, Outcome, RequestFinished

DAY_S = 86_400
KEPT_REQUESTS = 500


class Kind(NamedTuple):
    """The requests of one day that are counted together. None: no model was chosen."""

    day: int
    service: str
    tier: str | None
    provider: str | None
    model: str | None
    cache: CacheVerdict
    outcome: Outcome


Part = Literal["saved", "overhead", "baseline", "last_month", "checked"]
"""What `PartKey.name` is of: a cause of savings, a kind of overhead, a model of either baseline, a check's verdict."""


class PartKey(NamedTuple):
    day: int
    service: str
    part: Part
    name: str


@dataclass(frozen=True, slots=True)
class Sums:
    """Tokens are those that were charged. `compared_nano_usd` is the cost of the requests that have a baseline, and
    `baseline_nano_usd` what it would have cost; `last_month_…` the same of the second baseline, the model that the
    service used most in the last calendar month."""

    requests: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    compared_nano_usd: int = 0
    baseline_nano_usd: int = 0
    saved_nano_usd: int = 0
    overhead_nano_usd: int = 0
    last_month_compared_nano_usd: int = 0
    last_month_nano_usd: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*map(sum, zip(astuple(self), astuple(other), strict=True)))


NOTHING = Sums()


@dataclass(frozen=True, slots=True)
class Recent:
    """One request, as it is shown: `reasons` say why this tier and model, and why nothing was found in a cache."""

    id: str
    at_s: float
    endpoint: Endpoint
    service: str
    tier: str | None
    model: str | None
    provider: str | None
    cache: CacheVerdict
    outcome: Outcome
    status: int
    error_code: str | None
    stream: bool
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    saved_nano_usd: int
    duration_s: float
    first_token_s: float | None
    reasons: tuple[str, ...]


def recent_of(event: RequestFinished, at_s: float) -> Recent:
    return Recent(
        event.request_id,
        at_s,
        event.endpoint,
        event.service,
        event.tier,
        event.model,
        event.provider,
        event.cache,
        event.outcome,
        event.status,
        event.error_code,
        event.stream,
        event.attempts,
        event.usage.input_tokens,
        event.usage.output_tokens,
        event.cost_nano_usd,
        event.saved_nano_usd,
        event.duration_s,
        event.first_token_s,
        event.reasons,
    )


@dataclass(frozen=True, slots=True)
class Totals:
    """`parts` of `checked` are counts of checks, all others money. `recent` is oldest first, KEPT_REQUESTS at most.
    `complete` is False while something that was told before is still being read back."""

    rows: Mapping[Kind, Sums] = field(default_factory=dict)
    parts: Mapping[PartKey, int] = field(default_factory=dict)
    recent: tuple[Recent, ...] = ()
    complete: bool = True

    def __add__(self, other: Totals) -> Totals:
        rows = dict(self.rows)
        for kind, sums in other.rows.items():
            rows[kind] = rows[kind] + sums if kind in rows else sums
        parts = dict(self.parts)
        for key, amount in other.parts.items():
            parts[key] = parts.get(key, 0) + amount
        recent = merge(self.recent, other.recent, key=attrgetter("at_s"))
        return Totals(rows, parts, tuple(recent)[-KEPT_REQUESTS:], self.complete and other.complete)

    def encode(self) -> bytes:
        """For another process."""
        rows = [(*kind, *astuple(sums)) for kind, sums in self.rows.items()]
        parts = [(*key, amount) for key, amount in self.parts.items()]
        return orjson.dumps({"rows": rows, "parts": parts, "recent": self.recent, "complete": self.complete})


def decode(snapshot: bytes) -> Totals:
    """The inverse of `Totals.encode`."""
    read: dict[str, Any] = orjson.loads(snapshot)
    width = len(Kind._fields)
    rows = {Kind(*row[:width]): Sums(*row[width:]) for row in read["rows"]}
    parts = {PartKey(*part[:-1]): part[-1] for part in read["parts"]}
    return Totals(rows, parts, tuple(_recent(one) for one in read["recent"]), read["complete"])


def merged(snapshots: Iterable[bytes]) -> Totals:
    """What several processes have, as one."""
    return sum(map(decode, snapshots), Totals())


_RECENT = tuple(one.name for one in fields(Recent))


def _recent(read: Mapping[str, Any]) -> Recent:
    values = {name: read[name] for name in _RECENT}
    return Recent(**{**values, "reasons": tuple(values["reasons"])})

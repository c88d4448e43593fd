"""What the ledger's lines say. `adapters/journaled_ledger.py` tells when each is written, and why.

Each line is one JSON object with its `type` and `at` (Unix seconds). Money is in integer nano-dollars. No line has any
of a prompt, an answer or a key in it.

    hold       a reservation is about to be asked for, of at most so much
    held       it was granted, so much of it, in these meters
    void       it was not granted, or is not known to have been: it is over
    settle     this was used in its stead
    recovered  its gateway died: it is charged in full
    batch      spend that had not been reserved has been added up, and is about to be told to Redis under this id
               (these six: id, service, tag, meters, tokens, nano_usd, reserved, held_at by the ledger's own clock)
    drawn      an attempt was paid from what had been put aside for an outage: all that Drawn says
    request    a request is over: all that RequestFinished says
    check      a semantic hit, or a light answer, was asked again: all that HitChecked says
    level      a budget has reached a rung of its ladder: all that BudgetLevel says
    feedback   what an answer was worth, by who asked: all that Rated says
    prompt     what an answered prompt looked like, as numbers (`learning.store_features`): all that PromptKept says
    head       the first line of a file, what earlier files leave to it: open, sums, uncounted, behind_since
    behind     from here on settlements wait to be told to Redis
    even       none waits any longer
    gap        so many lines were lost while the disk took nothing: lines

A hold's id begins with its request's: `req_….2` is the second attempt; `req_….shadow.1`, `req_….light.1` and
`req_….judge.1` belong to a check. `aside_…` is put aside, and settled with what was drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal, get_args

from gateway.core.budget import Amount
from gateway.core.events import BudgetLevel, Drawn, Event, HitChecked, PromptKept, Rated, RequestFinished
from gateway.core.savings import CauseSaved, Overhead
from gateway.core.trace_context import TraceParent
from gateway.core.usage import Usage

EntryKind = Literal["hold", "held", "void", "settle", "recovered", "batch"]
Record = Mapping[str, Any]
"""A line, as JSON values by name."""

ASIDE = "aside_"
"""What the id of a hold begins with that is put aside."""
ENTRY_KINDS: frozenset[str] = frozenset(get_args(EntryKind))
OTHER_KINDS = frozenset({"drawn", "request", "check", "level", "feedback", "prompt", "head", "behind", "even", "gap"})
_TOLD: Mapping[type[object], str] = {
    RequestFinished: "request",
    HitChecked: "check",
    BudgetLevel: "level",
    Drawn: "drawn",
    Rated: "feedback",
    PromptKept: "prompt",
}
"""Of each event that the ledger keeps: the type of its line."""
_NAMES = {
    kind: tuple(field.name for field in fields(kind)) for kind in (*_TOLD, Usage, CauseSaved, Overhead, TraceParent)
}
_VALUES = {kind: attrgetter(*names) for kind, names in _NAMES.items()}
_NESTED = ("usage", "savings", "overheads", "trace_parent")
"""The fields of a request that JSON has no type for. Written as dicts: orjson takes 14 µs more for the dataclasses."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One step in the life of one hold. `service` pays; `meters` are counted under the payer's `tag`.

    `reserved` tells whether anything was reserved in Redis. Where no budget has a limit nothing is: such spend is added
    up and told in batches.
    """

    kind: EntryKind
    at_s: float
    id: str
    service: str
    tag: str
    meters: tuple[str, ...]
    amount: Amount
    reserved: bool
    held_at_s: float

    @property
    def charges(self) -> bool:
        """Whether the amount was spent, and not only reserved."""
        return self.kind in ("settle", "recovered")

    def record(self) -> dict[str, Any]:
        return {
            "type": self.kind,
            "at": self.at_s,
            "id": self.id,
            "service": self.service,
            "tag": self.tag,
            "meters": self.meters,
            "tokens": self.amount.tokens,
            "nano_usd": self.amount.nano_usd,
            "reserved": self.reserved,
            "held_at": self.held_at_s,
        }


def entry_of(record: Record) -> Entry:
    """The inverse of `Entry.record`. Raises ValueError, which names the field."""
    return Entry(
        record["type"],
        _number(record, "at"),
        _text(record, "id"),
        _text(record, "service"),
        _text(record, "tag"),
        _texts(record, "meters"),
        Amount(_count(record, "tokens"), _count(record, "nano_usd")),
        record.get("reserved") is True,
        _number(record, "held_at"),
    )


@dataclass(frozen=True, slots=True)
class Bill:
    """What a request, or the check of a hit, was told to have cost. `begun_s` is when it came in; for a check, when its
    line was written, for it does not tell."""

    kind: Literal["request", "check"]
    at_s: float
    begun_s: float
    request_id: str
    service: str
    nano_usd: int


def bill_of(record: Record) -> Bill:
    """From a line of type `request` or `check`. Raises ValueError, which names the field."""
    at_s, nano_usd = _number(record, "at"), _count(record, "cost_nano_usd")
    begun_s = at_s - _number(record, "duration_s") if record["type"] == "request" else at_s
    return Bill(record["type"], at_s, begun_s, _text(record, "request_id"), _text(record, "service"), nano_usd)


def drawn_of(record: Record) -> Drawn:
    """From a line of type `drawn`. Raises ValueError, which names the field."""
    ids = _text(record, "hold_id"), _text(record, "aside_id")
    return Drawn(*ids, _text(record, "service"), _count(record, "tokens"), _count(record, "nano_usd"))


def billed_by(hold_id: str) -> tuple[Literal["request", "check"], str]:
    """Which bill has the attempt of this hold in it: kind and request id."""
    request_id, _, attempt = hold_id.partition(".")
    return ("request" if not attempt or attempt.isdecimal() else "check"), request_id


def told_record(event: Event, at_s: float) -> dict[str, Any] | None:
    """The line of an event, with every field it has; None for one that the ledger does not keep."""
    kind = _TOLD.get(type(event))
    if kind is None:
        return None
    record = {"type": kind, "at": at_s, **_named(event)}
    for name in _NESTED:
        if record.get(name):
            record[name] = _plain(record[name])
    return record


def _named(value: object) -> dict[str, Any]:
    return dict(zip(_NAMES[type(value)], _VALUES[type(value)](value), strict=True))


def _plain(value: object) -> object:
    return [_named(one) for one in value] if isinstance(value, tuple) else _named(value)


def check_kind(record: Record) -> str:
    """The line's type. Raises ValueError for one that is not known."""
    kind = record.get("type")
    if not isinstance(kind, str) or kind not in ENTRY_KINDS | OTHER_KINDS:
        raise ValueError(f"`type` is {kind!r}, which is no kind of line")
    return kind


def _text(record: Record, name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is not text")
    return value


def _texts(record: Record, name: str) -> tuple[str, ...]:
    value = record.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"`{name}` is not a list of texts")
    return tuple(value)


def _count(record: Record, name: str) -> int:
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"`{name}` is not a whole number from 0 up")
    return value


def _number(record: Record, name: str) -> float:
    value = record.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"`{name}` is not a number")
    return value

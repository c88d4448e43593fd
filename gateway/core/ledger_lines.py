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
    draw       an attempt is about to be paid from what has been put aside, at most so much
    drawn      it was, so much of it (these two: hold_id, aside_id, service, tokens, nano_usd)
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
`req_….judge.1` belong to a check. `aside_…` is put aside, and settled with what was drawn from it. What an attempt
draws from may be exchanged while it runs: then there is another `draw` of it, which is the one that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, get_args

from gateway.core.budget import Amount
from gateway.core.events import BudgetLevel, Event, HitChecked, PromptKept, Rated, RequestFinished
from gateway.core.frozen import value
from gateway.core.usage import Usage

EntryKind = Literal["hold", "held", "void", "settle", "recovered", "batch"]
Record = Mapping[str, Any]
"""A line, as JSON values by name."""

ASIDE = "aside_"
"""What the id of a hold begins with that is put aside."""
ENTRY_KINDS: frozenset[str] = frozenset(get_args(EntryKind))
OTHER_KINDS = frozenset(
    {"draw", "drawn", "request", "check", "level", "feedback", "prompt", "head", "behind", "even", "gap"}
)


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
class Draw:
    """What an attempt holds, or has used, of what was put aside. Both ids are of holds: the attempt's, which the ledger
    has not seen, and that of what was put aside."""

    hold_id: str
    aside_id: str
    service: str
    amount: Amount

    def record(self, kind: Literal["draw", "drawn"], at_s: float) -> dict[str, Any]:
        return {
            "type": kind,
            "at": at_s,
            "hold_id": self.hold_id,
            "aside_id": self.aside_id,
            "service": self.service,
            "tokens": self.amount.tokens,
            "nano_usd": self.amount.nano_usd,
        }


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


def draw_of(record: Record) -> Draw:
    """From a line of type `draw` or `drawn`. Raises ValueError, which names the field."""
    ids = _text(record, "hold_id"), _text(record, "aside_id"), _text(record, "service")
    return Draw(*ids, Amount(_count(record, "tokens"), _count(record, "nano_usd")))


def billed_by(hold_id: str) -> tuple[Literal["request", "check"], str]:
    """Which bill has the attempt of this hold in it: kind and request id."""
    request_id, _, attempt = hold_id.partition(".")
    return ("request" if not attempt or attempt.isdecimal() else "check"), request_id


def told_record(event: Event, at_s: float) -> dict[str, Any] | None:
    """The line of an event, with every field it has; None for one that the ledger does not keep."""
    record_of = TOLD.get(type(event))
    return None if record_of is None else record_of(event, at_s)


def request_record(event: RequestFinished, at_s: float) -> dict[str, Any]:
    """Written out and not found by reflection, because each request has one; and as dicts, because orjson takes 14 µs
    more for dataclasses."""
    return {
        "type": "request",
        "at": at_s,
        "request_id": event.request_id,
        "endpoint": event.endpoint,
        "service": event.service,
        "outcome": event.outcome,
        "status": event.status,
        "stream": event.stream,
        "tier": event.tier,
        "model": event.model,
        "provider": event.provider,
        "cache": event.cache,
        "attempts": event.attempts,
        "usage": _usage_record(event.usage),
        "cost_nano_usd": event.cost_nano_usd,
        "saved_nano_usd": event.saved_nano_usd,
        "saved_by": event.saved_by,
        "duration_s": event.duration_s,
        "first_token_s": event.first_token_s,
        "error_code": event.error_code,
        "reasons": event.reasons,
        "baseline": event.baseline,
        "baseline_nano_usd": event.baseline_nano_usd,
        "savings": event.savings and [{"cause": one.cause, "nano_usd": one.nano_usd} for one in event.savings],
        "overheads": event.overheads and [{"kind": one.kind, "nano_usd": one.nano_usd} for one in event.overheads],
        "last_month": event.last_month,
        "last_month_nano_usd": event.last_month_nano_usd,
        "trace_parent": event.trace_parent and asdict(event.trace_parent),
        "review": event.review,
    }


def _usage_record(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "source": usage.source,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "audio_input_tokens": usage.audio_input_tokens,
        "audio_output_tokens": usage.audio_output_tokens,
    }


def _all_of(kind: str, event: HitChecked | BudgetLevel | Rated | PromptKept, at_s: float) -> dict[str, Any]:
    return {"type": kind, "at": at_s, **asdict(event)}


TOLD: Mapping[type[object], Callable[[Any, float], dict[str, Any]]] = {
    RequestFinished: request_record,
    HitChecked: partial(_all_of, "check"),
    BudgetLevel: partial(_all_of, "level"),
    Rated: partial(_all_of, "feedback"),
    PromptKept: partial(_all_of, "prompt"),
}
"""Of each event that the ledger keeps: what makes its line."""


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

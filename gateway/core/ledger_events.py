"""Lines of the ledger back into the events they were written from: the inverse of `ledger_lines.told_record`.

Lines of earlier versions lack later fields; those have the values that say nothing is known. Raises ValueError,
TypeError or KeyError for a line that is not one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from gateway.core.events import HitChecked, RequestFinished
from gateway.core.ledger_lines import Record
from gateway.core.pricing import from_nano
from gateway.core.savings import CauseSaved, Overhead
from gateway.core.trace_context import TraceParent
from gateway.core.usage import Usage

Reader = Callable[[Any], Any]

_READERS: Mapping[str, Reader] = {
    "usage": lambda value: Usage(**value),
    "reasons": tuple,
    "trace_parent": lambda value: value and TraceParent(**value),
    "savings": lambda value: tuple(CauseSaved(**one) for one in value),
    "overheads": lambda value: tuple(Overhead(**one) for one in value),
}
"""Of the fields that JSON has no type for."""


def finished_of(record: Record) -> RequestFinished:
    """From a line of type `request`."""
    return RequestFinished(**_values(_OF_REQUEST, record))


def checked_of(record: Record) -> HitChecked:
    """From a line of type `check`."""
    return HitChecked(**_values(_OF_CHECK, record))


def _values(names: Mapping[str, tuple[str, Reader | None]], record: Record) -> dict[str, Any]:
    known = ((names[name], value) for name, value in record.items() if name in names)
    return {field: value if read is None else read(value) for (field, read), value in known}


def _names(kind: type[RequestFinished | HitChecked]) -> dict[str, tuple[str, Reader | None]]:
    """By the name in the line: the field, and how it is read. `cost_nano_usd` is the field `cost_usd`."""
    names: dict[str, tuple[str, Reader | None]] = {}
    for field in fields(kind):
        if field.type == "Decimal":
            names[field.name.replace("_usd", "_nano_usd")] = field.name, _dollars
        else:
            names[field.name] = field.name, _READERS.get(field.name)
    return names


def _dollars(nano_usd: object) -> Decimal:
    if not isinstance(nano_usd, int):
        raise ValueError("money is not a whole number of nano-dollars")
    return from_nano(nano_usd)


_OF_REQUEST, _OF_CHECK = _names(RequestFinished), _names(HitChecked)

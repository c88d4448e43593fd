"""Lines of the ledger back into the events they were written from: the inverse of `ledger_lines.told_record`.

Lines of earlier versions lack later fields; those have the values that say nothing is known. Raises ValueError,
TypeError or KeyError for a line that is not one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from gateway.core.events import HitChecked, RequestFinished
from gateway.core.ledger_lines import Record
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


def _values(readers: Mapping[str, Reader], record: Record) -> dict[str, Any]:
    return {name: readers[name](value) for name, value in record.items() if name in readers}


def _readers(kind: type[RequestFinished | HitChecked]) -> dict[str, Reader]:
    return {field.name: _reader(field.name) for field in fields(kind)}


def _reader(name: str) -> Reader:
    return _READERS.get(name) or (_nano_usd if name.endswith("_nano_usd") else _as_it_is)


def _nano_usd(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("money is not a whole number of nano-dollars")
    return value


def _as_it_is(value: object) -> object:
    return value


_OF_REQUEST, _OF_CHECK = _readers(RequestFinished), _readers(HitChecked)

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
from gateway.core.usage import Usage

_NANO = "_nano_usd"
_READ: Mapping[str, Callable[[Any], Any]] = {
    "usage": lambda value: Usage(**value),
    "reasons": tuple,
    "savings": lambda value: tuple(CauseSaved(**one) for one in value),
    "overheads": lambda value: tuple(Overhead(**one) for one in value),
}
"""Of the fields that JSON has no type for."""


def finished_of(record: Record) -> RequestFinished:
    """From a line of type `request`."""
    return RequestFinished(**_values(RequestFinished, record))


def checked_of(record: Record) -> HitChecked:
    """From a line of type `check`."""
    return HitChecked(**_values(HitChecked, record))


def _values(kind: type[RequestFinished | HitChecked], record: Record) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    told = ((_named(name), name, value) for name, value in record.items())
    return {field: _value(field, name, value) for field, name, value in told if field in names}


def _named(name: str) -> str:
    """`cost_nano_usd` is the field `cost_usd`."""
    return f"{name.removesuffix(_NANO)}_usd" if name.endswith(_NANO) else name


def _value(field: str, name: str, value: Any) -> Any:
    if name.endswith(_NANO):
        return _dollars(value)
    return _READ[field](value) if field in _READ else value


def _dollars(nano_usd: object) -> Decimal:
    if not isinstance(nano_usd, int):
        raise ValueError("money is not a whole number of nano-dollars")
    return from_nano(nano_usd)

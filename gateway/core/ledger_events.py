"""Lines of the ledger back into the events they were written from: the inverse of `ledger_lines.told_record`.

Lines of earlier versions lack later fields; those have the values that say nothing is known. Raises ValueError,
TypeError or KeyError for a line that is not one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from gateway.core.events import HitChecked, RequestFinished
from gateway.core.ledger_lines import Record
from gateway.core.savings import CauseSaved, Overhead
from gateway.core.trace_context import TraceParent
from gateway.core.usage import Usage

_OF_REQUEST = frozenset(field.name for field in fields(RequestFinished))
_OF_CHECK = frozenset(field.name for field in fields(HitChecked))
_MONEY = frozenset(name for name in _OF_REQUEST | _OF_CHECK if name.endswith("_nano_usd"))


def finished_of(record: Record) -> RequestFinished:
    """From a line of type `request`."""
    told = _told(record, _OF_REQUEST)
    told["usage"] = Usage(**told["usage"])
    told["reasons"] = tuple(told.get("reasons", ()))
    told["savings"] = tuple([CauseSaved(**one) for one in told.get("savings", ())])
    told["overheads"] = tuple([Overhead(**one) for one in told.get("overheads", ())])
    parent = told.get("trace_parent")
    told["trace_parent"] = parent and TraceParent(**parent)
    return RequestFinished(**told)


def checked_of(record: Record) -> HitChecked:
    """From a line of type `check`."""
    return HitChecked(**_told(record, _OF_CHECK))


def _told(record: Record, names: Collection[str]) -> dict[str, Any]:
    """What is known here of what the line says. Raises ValueError for money that is none."""
    told = {name: value for name, value in record.items() if name in names}
    for name in _MONEY & told.keys():
        if not isinstance(told[name], int):
            raise ValueError("money is not a whole number of nano-dollars")
    return told

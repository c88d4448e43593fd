"""Do the books balance? What requests were told to have cost, beside what was settled for them; all from the lines.

A bill is a line of type `request` or `check`. It claims the settlements of its attempts, by their ids, and must be
their sum to the nano-dollar. What no bill has claimed is `untold`: requests still in the air, and those that a kill cut
between their settlement and their line. What was `recovered` never had a bill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from gateway.core.books import Books
from gateway.core.ledger_lines import ENTRY_KINDS, Bill, Entry, Record, bill_of, billed_by, check_kind, entry_of

_NAMED_MISMATCHES = 20


@dataclass(slots=True)
class ServiceDay:
    """One service on one UTC day, in nano-dollars. A bill and what it claims count on the bill's day, all else on its
    own."""

    billed_nano_usd: int = 0
    settled_nano_usd: int = 0
    untold_nano_usd: int = 0
    recovered_nano_usd: int = 0

    @property
    def balances(self) -> bool:
        return self.billed_nano_usd == self.settled_nano_usd


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A bill that is not the sum of its settlements."""

    bill: Bill
    settled_nano_usd: int


@dataclass(slots=True)
class _Unclaimed:
    at_s: float
    service: str
    nano_usd: int = 0


class Balance:
    """Add every line, oldest first. Memory grows with the requests in the air and with service-days, not with lines."""

    def __init__(self) -> None:
        self.books = Books()
        self.lines = 0
        self.lost_lines = 0
        self._since_s = 0.0
        self.mismatches: list[Mismatch] = []
        self._days: dict[tuple[str, str], ServiceDay] = {}
        self._unclaimed: dict[tuple[Literal["request", "check"], str], _Unclaimed] = {}

    def begin(self, head: Record) -> None:
        """The first line of the oldest file there is. If others were before it, what began before it is not compared:
        its settlements may have been in them. Raises ValueError."""
        self.books.carry(head)
        if head["sums"] or head["open"]:
            self._since_s = max(self._since_s, head["at"])

    def add(self, record: Record) -> None:
        """Raises ValueError for a line that says nothing."""
        kind = check_kind(record)
        self.lines += 1
        if kind in ENTRY_KINDS:
            self._add_entry(entry_of(record))
        elif kind in ("request", "check"):
            self._add_bill(bill_of(record))
        elif kind == "gap":
            self.lost_lines += record["lines"]

    def days(self) -> dict[tuple[str, str], ServiceDay]:
        """By service and day (`2026-11-23`), sorted."""
        days = {where: replace(day) for where, day in self._days.items()}
        for left in self._unclaimed.values():
            days.setdefault((left.service, _day(left.at_s)), ServiceDay()).untold_nano_usd += left.nano_usd
        return dict(sorted(days.items()))

    def _add_entry(self, entry: Entry) -> None:
        self.books.add(entry)
        if entry.kind == "recovered":
            self._on(entry.service, entry.at_s).recovered_nano_usd += entry.amount.nano_usd
        elif entry.kind == "settle":
            bill = billed_by(entry.id)
            unclaimed = self._unclaimed.setdefault(bill, _Unclaimed(entry.at_s, entry.service))
            unclaimed.nano_usd += entry.amount.nano_usd

    def _add_bill(self, bill: Bill) -> None:
        claimed = self._unclaimed.pop((bill.kind, bill.request_id), None)
        if bill.begun_s < self._since_s:
            return
        settled_nano_usd = claimed.nano_usd if claimed else 0
        if settled_nano_usd != bill.nano_usd and len(self.mismatches) < _NAMED_MISMATCHES:
            self.mismatches.append(Mismatch(bill, settled_nano_usd))
        day = self._on(bill.service, bill.at_s)
        day.billed_nano_usd += bill.nano_usd
        day.settled_nano_usd += settled_nano_usd

    def _on(self, service: str, at_s: float) -> ServiceDay:
        return self._days.setdefault((service, _day(at_s)), ServiceDay())


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")

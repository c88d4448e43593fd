"""Do the books balance? What requests were told to have cost, beside what was settled for them; all from the lines.

A bill is a line of type `request` or `check`. It claims what was settled for its attempts, by their ids, or drawn from
what had been put aside, and must be the sum to the nano-dollar. What no bill has claimed is `untold`: requests still in
the air, and those that a kill cut between their settlement and their line.

What was `recovered` was charged in full without a settlement. Its request has no bill when the gateway was killed; when
only Redis had lost its memory there is one, which may then be more than was settled by as much as was recovered.

What was put aside is settled with the sum of what was drawn from it, no more and no less; recovered, with as much as
attempts in the air could have drawn more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from gateway.core.books import Books
from gateway.core.ledger_lines import (
    ASIDE,
    ENTRY_KINDS,
    Bill,
    Draw,
    Entry,
    Record,
    bill_of,
    billed_by,
    check_kind,
    draw_of,
    entry_of,
)

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
    """What was told to cost so much, and settled with so much else. `what` names the request, check or hold."""

    what: str
    service: str
    told_nano_usd: int
    settled_nano_usd: int


@dataclass(slots=True)
class _Unclaimed:
    at_s: float
    service: str
    nano_usd: int = 0
    recovered_nano_usd: int = 0


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
        self._drawn: dict[str, int] = {}

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
        elif kind == "draw":
            self.books.draw(draw_of(record))
        elif kind == "drawn":
            self._add_drawn(draw_of(record), record["at"])
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
        if not entry.charges:
            return
        nano_usd, recovered = entry.amount.nano_usd, entry.kind == "recovered"
        drawn_nano_usd = self._drawn.pop(entry.id, 0)
        if recovered:
            self._on(entry.service, entry.at_s).recovered_nano_usd += max(0, nano_usd - drawn_nano_usd)
        if entry.id.startswith(ASIDE):
            if drawn_nano_usd > nano_usd or (drawn_nano_usd < nano_usd and not recovered):
                self._mismatch(Mismatch(entry.id, entry.service, drawn_nano_usd, nano_usd))
        elif recovered:
            self._for(entry.id, entry.service, entry.at_s).recovered_nano_usd += nano_usd
        else:
            self._for(entry.id, entry.service, entry.at_s).nano_usd += nano_usd

    def _add_drawn(self, drawn: Draw, at_s: float) -> None:
        self.books.drawn(drawn)
        nano_usd = drawn.amount.nano_usd
        self._drawn[drawn.aside_id] = self._drawn.get(drawn.aside_id, 0) + nano_usd
        self._for(drawn.hold_id, drawn.service, at_s).nano_usd += nano_usd

    def _for(self, hold_id: str, service: str, at_s: float) -> _Unclaimed:
        return self._unclaimed.setdefault(billed_by(hold_id), _Unclaimed(at_s, service))

    def _add_bill(self, bill: Bill) -> None:
        claimed = self._unclaimed.pop((bill.kind, bill.request_id), None) or _Unclaimed(bill.at_s, bill.service)
        if bill.begun_s < self._since_s:
            return
        settled_nano_usd = claimed.nano_usd + min(claimed.recovered_nano_usd, max(0, bill.nano_usd - claimed.nano_usd))
        if settled_nano_usd != bill.nano_usd:
            what = f"{bill.kind} {bill.request_id}"
            self._mismatch(Mismatch(what, bill.service, bill.nano_usd, settled_nano_usd))
        day = self._on(bill.service, bill.at_s)
        day.billed_nano_usd += bill.nano_usd
        day.settled_nano_usd += settled_nano_usd

    def _mismatch(self, mismatch: Mismatch) -> None:
        if len(self.mismatches) < _NAMED_MISMATCHES:
            self.mismatches.append(mismatch)

    def _on(self, service: str, at_s: float) -> ServiceDay:
        return self._days.setdefault((service, _day(at_s)), ServiceDay())


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")

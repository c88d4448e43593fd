"""What a ledger's entries add up to: one fold, for the gateway that writes them and for whoever reads them again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, cast

from gateway.core.budget import NOTHING, Amount, Budget
from gateway.core.ledger_lines import Entry, Record, entry_of
from gateway.core.window import BUCKETS, LENGTH_S, WindowKind, WindowRule, WindowStyle

_SLACK_S = 86_400.0
Counter = tuple[str, tuple[str, ...]]
"""Spend that was never reserved is told to Redis in batches, one for each tag and meters."""


class Slot(NamedTuple):
    """What one sum is of: a meter under its payer's tag, and of a sliding one only the bucket of this number."""

    tag: str
    meter: str
    bucket: int | None


class Books:
    """`open` are the holds that nothing has ended, by id. `sums` is what was spent, and `touched_s` when the last of it
    was held.

    `behind_since_s` is since when settlements wait to be told to Redis, None when none does.
    """

    def __init__(self) -> None:
        self.open: dict[str, Entry] = {}
        self.sums: dict[Slot, Amount] = {}
        self._uncounted: dict[Counter, tuple[Entry, Amount]] = {}
        self.behind_since_s: float | None = None
        self.touched_s: dict[Slot, float] = {}

    @property
    def uncounted(self) -> dict[Counter, Entry]:
        """What no batch has had of it yet, by tag and meters: the latest entry, whose amount is the sum."""
        return {counter: replace(entry, amount=left) for counter, (entry, left) in self._uncounted.items()}

    def add(self, entry: Entry) -> None:
        if entry.kind in ("hold", "held"):
            self.open[entry.id] = entry
            return
        self.open.pop(entry.id, None)
        if entry.charges:
            self._charge(entry)
        elif entry.kind == "batch":
            left = self._left(entry)
            self._count(entry, left - _least(left, entry.amount))

    def _charge(self, entry: Entry) -> None:
        for slot in slots_of(entry):
            self._add(slot, entry.amount, entry.held_at_s)
        if entry.meters and not entry.reserved:
            self._count(entry, self._left(entry) + entry.amount)

    def _add(self, slot: Slot, amount: Amount, held_at_s: float) -> None:
        self.sums[slot] = self.sums.get(slot, NOTHING) + amount
        self.touched_s[slot] = held_at_s

    def _left(self, entry: Entry) -> Amount:
        return self._uncounted.get((entry.tag, entry.meters), (entry, NOTHING))[1]

    def _count(self, entry: Entry, left: Amount) -> None:
        if left == NOTHING:
            self._uncounted.pop((entry.tag, entry.meters), None)
        else:
            self._uncounted[entry.tag, entry.meters] = entry, left

    def spent(self, tag: str, meter: str, now_s: float) -> Amount:
        """In the window of now, if it slides; else in all of the meter."""
        last = _bucket(meter, now_s)
        slots = (
            [Slot(tag, meter, last)] if last is None else [Slot(tag, meter, last - ago) for ago in range(BUCKETS + 1)]
        )
        total = NOTHING
        for slot in slots:
            total += self.sums.get(slot, NOTHING)
        return total

    def carry(self, head: Record) -> None:
        """Take over what a head says; for books that have nothing of its own yet. Raises ValueError."""
        try:
            self.behind_since_s = head["behind_since"]
            for entry in map(entry_of, head["open"]):
                self.open[entry.id] = entry
            for entry in map(entry_of, head["uncounted"]):
                self._count(entry, self._left(entry) + entry.amount)
            for tag, meter, bucket, tokens, nano_usd, touched_s in head["sums"]:
                self._add(Slot(tag, meter, bucket), Amount(tokens, nano_usd), touched_s)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the head of a file: {error!r}") from error

    def head(self, at_s: float) -> dict[str, Any]:
        """The first line of a file: who reads on from it needs no earlier one. Sums of windows that are long over, in
        which nothing can be charged any more, are left out, here and from now on."""
        for slot, touched_s in list(self.touched_s.items()):
            if touched_s + 2 * LENGTH_S[budget_of(slot.meter).rule.kind] + _SLACK_S < at_s:
                del self.touched_s[slot], self.sums[slot]
        return {
            "type": "head",
            "at": at_s,
            "behind_since": self.behind_since_s,
            "open": [entry.record() for entry in self.open.values()],
            "sums": [[*slot, spent.tokens, spent.nano_usd, self.touched_s[slot]] for slot, spent in self.sums.items()],
            "uncounted": [entry.record() for entry in self.uncounted.values()],
        }


def _least(one: Amount, other: Amount) -> Amount:
    """So that a batch whose spend a gap in the file has swallowed leaves nothing, and not less."""
    return Amount(min(one.tokens, other.tokens), min(one.nano_usd, other.nano_usd))


def slots_of(entry: Entry) -> list[Slot]:
    """Where an entry counts. What is held is charged to the bucket in which it was held, whenever it is settled."""
    return [Slot(entry.tag, meter, _bucket(meter, entry.held_at_s)) for meter in entry.meters]


def _bucket(meter: str, held_at_s: float) -> int | None:
    bucket_s = budget_of(meter).rule.bucket_s if "/sliding-" in meter else None
    return None if bucket_s is None else int(held_at_s // bucket_s)


def budget_of(meter: str) -> Budget:
    """The budget that a meter is of, without its limits and its time zone, which the id does not tell.

    Raises ValueError for what is not the id of a meter.
    """
    account, _, window = meter.rpartition("/")
    style, _, kind = window.partition(":")[0].rpartition("-")
    if not account or kind not in LENGTH_S or style not in ("", "fixed", "sliding"):
        raise ValueError(f"`{meter}` is not the id of a meter")
    return Budget(account, WindowRule(cast(WindowKind, kind), cast(WindowStyle, style or "calendar")), hard=False)

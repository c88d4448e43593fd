"""What a ledger's entries add up to: one fold, for the gateway that writes them and for whoever reads them again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from gateway.core.budget import NOTHING, Amount, Budget
from gateway.core.ledger_lines import ASIDE, Draw, Entry, Record, draw_of, entry_of
from gateway.core.window import BUCKETS, LENGTH_S, WindowKind, WindowRule, WindowStyle

_SLACK_S = 86_400.0
Counter = tuple[str, tuple[str, ...]]
"""Spend that was never reserved is told to Redis in batches, one for each tag and meters."""


class Slot(NamedTuple):
    """What one sum is of: a meter under its payer's tag, and of a sliding one only the bucket of this number."""

    tag: str
    meter: str
    bucket: int | None


@dataclass(slots=True)
class _Sum:
    """Added to in place, because each attempt adds to several. `touched_s` is when the last of it was held."""

    tokens: int = 0
    nano_usd: int = 0
    touched_s: float = 0.0

    def add(self, amount: Amount, held_at_s: float) -> None:
        self.tokens += amount.tokens
        self.nano_usd += amount.nano_usd
        self.touched_s = held_at_s

    @property
    def amount(self) -> Amount:
        return Amount(self.tokens, self.nano_usd)


class Books:
    """`open` are the holds that nothing has ended, by id; `draws` what attempts in the air hold of what was put aside,
    by theirs.

    `behind_since_s` is since when settlements wait to be told to Redis, None when none does.
    """

    def __init__(self) -> None:
        self.open: dict[str, Entry] = {}
        self.draws: dict[str, Draw] = {}
        self._drawn: dict[str, Amount] = {}
        self.behind_since_s: float | None = None
        self._spent: defaultdict[tuple[str, str, int | None], _Sum] = defaultdict(_Sum)
        self._uncounted: defaultdict[Counter, _Sum] = defaultdict(_Sum)
        self._latest: dict[Counter, Entry] = {}

    @property
    def sums(self) -> dict[Slot, Amount]:
        """What was spent."""
        return {Slot._make(where): spent.amount for where, spent in self._spent.items()}

    def touched_s(self, slot: Slot) -> float:
        """When the last of what was spent there was held."""
        return self._spent[slot].touched_s

    @property
    def uncounted(self) -> dict[Counter, Entry]:
        """What no batch has had of it yet, by tag and meters: the latest entry, whose amount is the sum."""
        left = {counter: waiting.amount for counter, waiting in self._uncounted.items()}
        return {of: replace(self._latest[of], amount=amount) for of, amount in left.items() if amount != NOTHING}

    def add(self, entry: Entry) -> None:
        if entry.kind in ("hold", "held"):
            self.open[entry.id] = entry
            return
        self.open.pop(entry.id, None)
        if entry.id.startswith(ASIDE):
            self._forget_draws(entry.id)
        if entry.charges:
            self._charge(entry)
        elif entry.kind == "batch":
            self._take(entry)

    def draw(self, draw: Draw) -> None:
        self.draws[draw.hold_id] = draw

    def drawn(self, drawn: Draw) -> None:
        self.draws.pop(drawn.hold_id, None)
        if drawn.aside_id in self.open:  # else it was ended before its last draw, by a Redis that lost its memory
            self._drawn[drawn.aside_id] = self._drawn.get(drawn.aside_id, NOTHING) + drawn.amount

    @property
    def in_the_air(self) -> int:
        """How many attempts have reserved something, wherever. What is put aside is no attempt."""
        return len(self.draws) + sum(not held.startswith(ASIDE) for held in self.open)

    def taken(self, aside_id: str) -> Amount:
        """What was drawn of what was put aside, and what attempts in the air may draw yet."""
        in_the_air = (draw.amount for draw in self.draws.values() if draw.aside_id == aside_id)
        return sum(in_the_air, self._drawn.get(aside_id, NOTHING))

    def _forget_draws(self, aside_id: str) -> None:
        self._drawn.pop(aside_id, None)
        for hold_id in [draw.hold_id for draw in self.draws.values() if draw.aside_id == aside_id]:
            del self.draws[hold_id]

    def _charge(self, entry: Entry) -> None:
        held_at_s = entry.held_at_s
        for meter in entry.meters:
            self._spent[entry.tag, meter, _bucket(meter, held_at_s)].add(entry.amount, held_at_s)
        if entry.meters and not entry.reserved:
            self._wait(entry)

    def _wait(self, entry: Entry) -> None:
        counter = entry.tag, entry.meters
        self._uncounted[counter].add(entry.amount, entry.held_at_s)
        self._latest[counter] = entry

    def _take(self, batch: Entry) -> None:
        """Of a batch whose spend a gap in the file has swallowed nothing is left, and not less."""
        counter = batch.tag, batch.meters
        left = self._uncounted.pop(counter, _Sum()).amount.beyond(batch.amount)
        self._latest.pop(counter, None)
        if left != NOTHING:
            self._wait(replace(batch, amount=left))

    def spent(self, tag: str, meter: str, now_s: float) -> Amount:
        """In the window of now, if it slides; else in all of the meter."""
        last = _bucket(meter, now_s)
        buckets = [None] if last is None else [last - ago for ago in range(BUCKETS + 1)]
        counted = [self._spent[where].amount for bucket in buckets if (where := (tag, meter, bucket)) in self._spent]
        return sum(counted, NOTHING)

    def carry(self, head: Record) -> None:
        """Take over what a head says; for books that have nothing of its own yet. Raises ValueError."""
        try:
            self.behind_since_s = head["behind_since"]
            for entry in map(entry_of, head["open"]):
                self.open[entry.id] = entry
            for entry in map(entry_of, head["uncounted"]):
                self._wait(entry)
            for draw in map(draw_of, head.get("draws", ())):  # none in files of before 2026-11-24, as below
                self.draws[draw.hold_id] = draw
            for aside_id, tokens, nano_usd in head.get("drawn", ()):
                self._drawn[aside_id] = Amount(tokens, nano_usd)
            for tag, meter, bucket, tokens, nano_usd, touched_s in head["sums"]:
                self._spent[tag, meter, bucket].add(Amount(tokens, nano_usd), touched_s)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the head of a file: {error!r}") from error

    def head(self, at_s: float) -> dict[str, Any]:
        """The first line of a file: who reads on from it needs no earlier one. Sums of windows that are long over, in
        which nothing can be charged any more, are left out, here and from now on."""
        for where, spent in list(self._spent.items()):
            if spent.touched_s + 2 * LENGTH_S[budget_of(where[1]).rule.kind] + _SLACK_S < at_s:
                del self._spent[where]
        return {
            "type": "head",
            "at": at_s,
            "behind_since": self.behind_since_s,
            "open": [entry.record() for entry in self.open.values()],
            "draws": [draw.record("draw", at_s) for draw in self.draws.values()],
            "drawn": [[aside_id, drawn.tokens, drawn.nano_usd] for aside_id, drawn in self._drawn.items()],
            "sums": [[*where, sum_.tokens, sum_.nano_usd, sum_.touched_s] for where, sum_ in self._spent.items()],
            "uncounted": [entry.record() for entry in self.uncounted.values()],
        }


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

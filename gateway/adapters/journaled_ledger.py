"""A ledger that is written down: each step of a hold goes into the ledger file before, and Redis hears of it after.

Theory of operation
-------------------
The file is the truth and Redis' sums are made from it. A `kill -9` may come between any two steps of an attempt; the
next start then reads what was left open and tells Redis what it has not heard, so that

    settled in Redis  ==  sum of the settle and recovered lines             for every meter, in both units

Everything told to Redis is known there by the hold's id, and telling it twice is telling it once. What is left open:

    last line   Redis believes           a provider  so the next start
    hold        nothing, or it holds     not asked   voids it: settles with nothing, in any window it may be held in
    void        nothing, or it holds     not asked   settles with nothing once more
    held        it holds; or the lease   asked, or   writes `recovered`, and then settles in full: what is charged when
                is over: charged full    about to be   a lease ends
    settle      as before, or settled    answered    settles with the line's amount once more
    recovered   as before, or settled    asked       the same
    settle of   not counted              answered    counts it, in a new batch; so, in full, a `held` that was not
    no reserve                                         reserved
    draw        it holds what was        asked, or   charges of what was put aside what attempts hold and have drawn
                put aside                about to be   of it; all, where lines may be missing: a gap, another run of
    drawn       the same                 answered      the machine, or a version without these lines
    batch       counted, or not          answered    counts it once more, under its id

A torn last line is a line not written, and what it announces was not done: the row before it holds. Told again are only
lines that Redis may not have confirmed: those of the last minute, and all since a `behind` without its `even`.

What this cannot make whole. Redis forgets an id `LATE_MS` after its lease has ended, so a gateway that is started again
later than that finds the estimate charged for what it had settled with less, in its last moments. While the disk takes
no lines, those that wait in memory die with the process. Both are on the safe side in Redis, and `thriftgate ledger
verify` shows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from gateway.adapters.boot_id import boot_id
from gateway.adapters.ledger_file import LedgerFile
from gateway.adapters.ledger_reader import Damage
from gateway.adapters.ledger_recovery import Left, read_left
from gateway.adapters.ledger_tail import restore
from gateway.adapters.observers import Selective
from gateway.adapters.redis_ledger import Rebuild
from gateway.core.books import Books, budget_of
from gateway.core.budget import LATE_MS, MAX_LIMIT, NOTHING, Amount, Bid, Payer
from gateway.core.events import Degraded, Event
from gateway.core.ladder import Rung
from gateway.core.ledger_lines import ASIDE, TOLD, Draw, Entry, EntryKind, Record
from gateway.ports import Clock, Hold, Ledger, Observer, Standing

_AT_ONCE = 64
_WINDOW_SLACK_S = 5.0
"""A hold may be made so long after it was asked for, in the next window."""


class BatchingLedger(Ledger, Protocol):
    """The ledger that is written down: one that tells Redis what was never reserved in batches."""

    def start(self) -> None: ...
    async def stop(self) -> bool: ...

    @property
    def is_behind(self) -> bool:
        """Whether Redis has not confirmed something it was told."""

    def unix_s(self) -> float:
        """The clock by which it chooses windows."""

    def before_batches(self, tell: Callable[[Hold, Amount], None]) -> None:
        """From now on `tell` hears of each batch before Redis does: a hold with the batch's own id, and its sum."""

    def rebuild_by(self, rebuild: Rebuild) -> None:
        """From now on a Redis that has lost its memory is also told what `rebuild` knows."""

    def recount(self, batch: Hold, actual: Amount) -> None:
        """Count a batch, unless it has been counted under its id."""


class JournaledLedger:
    """Implements `ports.Ledger`. `start` before the first hold; it starts and stops the ledger inside."""

    def __init__(self, inner: BatchingLedger, file: LedgerFile, clock: Clock, observer: Observer) -> None:
        self._inner = inner
        self._file = file
        self._clock = clock
        self._observer = observer
        self._books = Books()
        self._boot = boot_id()
        file.begin_with(lambda: {**self._books.head(clock.unix_s()), "boot": self._boot})
        self.attach()

    def attach(self) -> None:
        """From now on it is this one that the ledger inside tells its batches, and asks what Redis has lost."""
        self._inner.rebuild_by(self.rebuild)
        self._inner.before_batches(lambda batch, actual: self._write(self._entry("batch", batch, actual)))

    async def start(self) -> int:
        """`recover`, once the ledger inside has been started."""
        self._inner.start()
        return await self.recover()

    async def recover(self) -> int:
        """Finish what a gateway that was killed has left in this folder; how many of its holds were still open."""
        left = await asyncio.to_thread(self._read_left)
        self._books = left.books
        open_holds = list(left.books.open.values())
        all_told = left.boot is not None and left.boot == self._boot and not left.lost_lines
        ended = [self._ended(entry, all_told) for entry in open_holds]
        for entry in ended:
            self._write(entry)
        told = [entry for entry in (*left.recent, *ended) if entry.reserved or entry.kind == "batch"]
        for few in _portions(told):
            await asyncio.gather(*map(self._tell_again, few))
        for entry in left.books.uncounted.values():
            await self._inner.settle(_hold_of(entry), entry.amount)
        self._file.start()
        return len(open_holds)

    def _read_left(self) -> Left:
        with suppress(OSError):  # a disk that takes nothing: the lines are read where they are
            restore(self._file.folder)
        return read_left(self._file.folder, self._damaged)

    async def stop(self) -> None:
        """The file last: what the ledger inside still has to count is written down before."""
        await self._inner.stop()
        await self._file.stop()

    async def close_file(self) -> None:
        """Stop alone: the ledger inside is another's."""
        await self._file.stop()

    async def hold(self, id: str, payer: Payer, bid: Bid, rung: Rung = "wall") -> Hold:
        if id in self._books.open:
            return await self._inner.hold(id, payer, bid, rung)  # the same hold once more: it has its line
        if payer.is_limited:
            return await self._reserved(id, payer, bid, rung)
        hold = await self._inner.hold(id, payer, bid, rung)
        self._write(self._entry("held", hold, hold.amount))
        return hold

    async def settle(self, hold: Hold, actual: Amount) -> None:
        if hold.id in self._books.open:  # else it is settled already
            self._write(self._entry("settle", hold, actual))
        await self._inner.settle(hold, actual)
        if self._inner.is_behind != (self._books.behind_since_s is not None):
            self._note_backlog()

    def draw(self, draw: Draw) -> bool:
        """Before an attempt is paid from what was put aside. False: the line of it may not outlive this process."""
        outlives = self._file.append(draw.record("draw", self._clock.unix_s()))
        self._books.draw(draw)
        return outlives

    def drawn(self, drawn: Draw) -> None:
        """So much was."""
        self._file.append(drawn.record("drawn", self._clock.unix_s()))
        self._books.drawn(drawn)

    async def standing(self, payer: Payer) -> tuple[Standing, ...]:
        return await self._inner.standing(payer)

    async def rebuild(self, tag: str, meters: Sequence[str]) -> Mapping[str, Amount]:
        """What was spent in these meters, which Redis has lost. It has also lost what was reserved there: so what is in
        the air is charged in full, here and now, because its settlement will find nothing to settle."""
        now_s = self._clock.unix_s()
        for entry in list(self._books.open.values()):
            if (
                entry.kind == "held"
                and entry.reserved
                and entry.tag == tag
                and not set(meters).isdisjoint(entry.meters)
            ):
                self._write(replace(entry, kind="recovered", at_s=now_s))
        return self.spent(tag, meters)

    def spent(self, tag: str, meters: Sequence[str]) -> Mapping[str, Amount]:
        """What the lines say was spent in these meters."""
        now_s = self._clock.unix_s()
        return {meter: self._books.spent(tag, meter, now_s) for meter in meters}

    async def _reserved(self, id: str, payer: Payer, bid: Bid, rung: Rung) -> Hold:
        asked = self._asked(id, payer, bid)
        self._write(asked)
        try:
            hold = await self._inner.hold(id, payer, bid, rung)
        except BaseException:
            self._write(self._over(asked))
            raise
        self._write(self._entry("held", hold, hold.amount))
        return hold

    def _asked(self, id: str, payer: Payer, bid: Bid) -> Entry:
        """Before the ledger has answered it is not known in which windows: these, or those that begin at once."""
        ledger_s = self._inner.unix_s()
        moments = (ledger_s, ledger_s + _WINDOW_SLACK_S)
        meters = dict.fromkeys(budget.meter(at_s) for at_s in moments for budget in payer.budgets)
        most = bid.amount(bid.most_output_tokens)
        return Entry("hold", self._clock.unix_s(), id, payer.name, payer.tag, tuple(meters), most, True, ledger_s)

    def _entry(self, kind: EntryKind, hold: Hold, amount: Amount) -> Entry:
        now_s = self._clock.unix_s()
        return Entry(kind, now_s, hold.id, hold.account, hold.tag, hold.meters, amount, hold.is_reserved, hold.at_s)

    def _write(self, entry: Entry) -> None:
        self._file.append(entry.record())
        self._books.add(entry)

    def _ended(self, left_open: Entry, all_told: bool) -> Entry:
        """A hold that was granted is charged in full; one that was only asked for never reached a provider. Of what was
        put aside only what was drawn is charged, if no line of that can be missing."""
        if left_open.kind != "held":
            return self._over(left_open)
        is_aside = all_told and left_open.id.startswith(ASIDE)
        amount = self._books.taken(left_open.id) if is_aside else left_open.amount
        return replace(left_open, kind="recovered", at_s=self._clock.unix_s(), amount=amount)

    def _over(self, asked: Entry) -> Entry:
        return replace(asked, kind="void", at_s=self._clock.unix_s(), amount=NOTHING)

    async def _tell_again(self, entry: Entry) -> None:
        hold = _hold_of(entry)
        if entry.kind != "batch":
            await self._inner.settle(hold, entry.amount)
        elif (
            entry.at_s * 1000 > self._clock.unix_s() * 1000 - LATE_MS
        ):  # else its id may be forgotten, and counted twice
            self._inner.recount(hold, entry.amount)

    def _note_backlog(self) -> None:
        """It has begun to wait for Redis, or waits no longer."""
        behind, now_s = self._inner.is_behind, self._clock.unix_s()
        self._file.append({"type": "behind" if behind else "even", "at": now_s})
        self._books.behind_since_s = now_s if behind else None

    def _damaged(self, damage: Damage) -> None:
        self._observer.tell(Degraded("ledger_file", str(damage)))


class LedgerEvents(Selective):
    """Implements `ports.Observer`: what requests and checks have cost goes into the ledger file."""

    def __init__(self, file: LedgerFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self.hears = {kind: partial(self._told, record_of) for kind, record_of in TOLD.items()}

    def _told(self, record_of: Callable[[Any, float], Record], event: Event) -> None:
        self._file.append(record_of(event, self._clock.unix_s()))


def _hold_of(entry: Entry) -> Hold:
    """What settles the entry again. Any limit says that it was reserved; which it was is not known any more."""
    budgets = tuple(map(budget_of, entry.meters))
    if entry.reserved:
        budgets = tuple(replace(budget, tokens=MAX_LIMIT) for budget in budgets)
    return Hold(entry.id, entry.service, entry.tag, entry.amount, 0, entry.held_at_s, budgets, entry.meters)


def _portions(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (entries[at : at + _AT_ONCE] for at in range(0, len(entries), _AT_ONCE))

"""The tally of this process: it hears events, and knows from the ledger's files what was before its start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import orjson

from gateway.adapters.observers import Selective
from gateway.core.events import HitChecked, RequestFinished
from gateway.core.last_month import most_used
from gateway.core.ledger_events import checked_of, finished_of
from gateway.core.tally import Tally, date_of, first_kept_day, today
from gateway.core.totals import DAY_S, Totals
from gateway.ports import Clock

_AT_ONCE_LINES = 500
"""Read in one go: about 10 ms in a thread, in which the loop may have to wait for the interpreter."""
_PAUSE_S = 0.01
_BUFFER_BYTES = 1024 * 1024
_WANTED = (b'{"type":"request"', b'{"type":"check"')
"""A line begins with its type. Most lines are of holds, and are not parsed."""


class Tallying(Selective):
    """Implements `ports.Observer`: adds up what requests and checks have cost.

    `complete` is False until what the ledger's files say has been added.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tally = Tally()
        self._before = Totals()
        self._reading: asyncio.Task[None] | None = None
        self._day_ends_s = 0
        self._most_used: dict[str, str] = {}
        self.complete = False
        self.hears = {RequestFinished: self._finished, HitChecked: self._checked}

    def _finished(self, event: RequestFinished) -> None:
        self._tally.finished(event, self._clock.unix_s())

    def _checked(self, event: HitChecked) -> None:
        self._tally.checked(event, self._clock.unix_s())

    def most_used_last_month(self, service: str, unix_s: float) -> str | None:
        """A model's name; None if there was none, or while the ledger's files are being read. Of what this process has
        answered, and those whose files it reads."""
        if unix_s >= self._day_ends_s:
            self._begin_day(unix_s)
        return self._most_used.get(service)

    def _begin_day(self, unix_s: float) -> None:
        """Some milliseconds."""
        if self.complete:
            day = int(unix_s // DAY_S)
            self._day_ends_s, self._most_used = (day + 1) * DAY_S, most_used(self.totals(), day)

    def totals(self) -> Totals:
        """Milliseconds; on the loop's thread, which tells."""
        return replace(self._before + self._tally.totals(), complete=self.complete)

    def snapshot(self) -> bytes:
        """The same for another process: `core.totals.decode` reads it, and totals add up."""
        return self.totals().encode()

    def start(self, paths: Sequence[Path]) -> None:
        """Begin to add what these files of the ledger say; once. None of them may be one that is still written with
        requests this process tells: they would be counted twice. One that is deleted meanwhile says nothing."""
        self._reading = asyncio.ensure_future(self._read(paths))

    async def read(self) -> None:
        """Until all has been added."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def stop(self) -> None:
        """What has not been read by now is not needed any more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self, paths: Sequence[Path]) -> None:
        before = Tally()
        first_day = first_kept_day(today(self._clock.unix_s()))
        for path in paths:
            if path.name >= date_of(first_day).isoformat():
                await _read_file(path, before)
        self._before, self.complete = before.totals(), True


async def _read_file(path: Path, tally: Tally) -> None:
    """In portions, off the loop, and with rests: requests go on meanwhile."""
    steps = _added(path, tally)
    more = True
    while more:
        more = bool(await asyncio.to_thread(lambda: sum(1 for _ in islice(steps, _AT_ONCE_LINES))))
        await asyncio.sleep(_PAUSE_S)


def _added(path: Path, tally: Tally) -> Iterator[None]:
    """One step a line. Damaged lines are passed over here: `journaled_ledger` tells of them at each start."""
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            for line in file:
                if line.startswith(_WANTED):
                    _add(line, tally)
                yield
    except OSError:
        return


def _add(line: bytes, tally: Tally) -> None:
    try:
        record = orjson.loads(line)
        if record["type"] == "request":
            tally.finished(finished_of(record), record["at"])
        else:
            tally.checked(checked_of(record), record["at"])
    except (KeyError, TypeError, ValueError):
        return  # as above: a line that says nothing

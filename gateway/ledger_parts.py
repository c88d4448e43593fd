"""The ledger of one process: the files that it writes, Redis behind them, and what is put aside and leased.

A worker of several writes files of its own (`adapters/ledger_estates`); the sums in Redis are everybody's.
"""

from __future__ import annotations

from pathlib import Path

from gateway.adapters.allotted_ledger import AllottedLedger
from gateway.adapters.asides import Asides
from gateway.adapters.journaled_ledger import JournaledLedger, LedgerEvents
from gateway.adapters.ledger_estates import LedgerBooks, estates_of, folder_of, others_of
from gateway.adapters.ledger_file import LedgerFile, ledger_files
from gateway.adapters.observers import Observers
from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.seat import Seat
from gateway.ports import Clock, Observer
from gateway.settings import Settings, State


class LedgerFiles:
    """What this process writes, and the estates that it answers for. `told` hears what happens, and so does `observer`,
    which also writes the bills."""

    def __init__(self, settings: Settings, seat: Seat, told: Observer, clock: Clock) -> None:
        self._rules = settings.ledger
        self._told = told
        self._clock = clock
        self._seat = seat
        self._ledger_folder = settings.ledger_folder
        folder = folder_of(settings.ledger_folder, seat)
        self.estates = estates_of(settings.ledger_folder, seat) if self._rules.enabled else []
        self.own = self.file_in(folder) if self._rules.enabled else None
        self.observer = Observers(told, LedgerEvents(self.own, clock)) if self.own else told

    def file_in(self, folder: Path) -> LedgerFile:
        rules = self._rules
        return LedgerFile(
            folder, self._clock, self._told, max_file_bytes=rules.max_file_bytes, keep_days=rules.keep_days
        )

    def others(self) -> list[Path]:
        """The folders of the other workers."""
        return others_of(self._ledger_folder, self._seat)

    def paths(self) -> list[Path]:
        """Those that are there now, by folder in the order they were written."""
        folders = [self.own.folder, *self.estates] if self.own else []
        return [path for folder in folders for path in ledger_files(folder)]


class LedgerParts:
    """Reserving and settling in Redis, behind the files."""

    def __init__(self, settings: State, seat: Seat, files: LedgerFiles, redis: RedisClient, clock: Clock) -> None:
        observer = files.observer
        in_redis = RedisLedger(redis, clock, observer, timeout_s=settings.timeout_ms / 1000)

        def journaled(file: LedgerFile) -> JournaledLedger:
            return JournaledLedger(in_redis, file, clock, observer)

        self._inner: RedisLedger | LedgerBooks = in_redis
        kept: RedisLedger | JournaledLedger = in_redis
        if files.own is not None:
            kept = own = journaled(files.own)
            self._inner = LedgerBooks(
                in_redis, own, files.estates, lambda folder: journaled(files.file_in(folder)), files.others, clock
            )
        lines = kept if isinstance(kept, JournaledLedger) else None
        self._asides = Asides(kept, lines, clock, observer, part=settings.allotment_share, workers=seat.count)
        self.ledger = AllottedLedger(kept, self._asides, observer)

    async def start(self) -> int:
        """How many requests that a kill had cut were ended in the books."""
        ended = 0
        if isinstance(self._inner, LedgerBooks):
            ended = await self._inner.start()
        else:
            self._inner.start()
        self._asides.start()
        return ended

    async def stop(self) -> None:
        await self._asides.stop()
        await self._inner.stop()

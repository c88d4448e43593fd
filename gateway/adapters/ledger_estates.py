"""Whose ledger files are whose when a gateway has several workers.

Each worker writes into a folder of its own and recovers what is in it, so a worker that is killed is ended in the books
by the one that takes its seat, while the others write on. The first has `ledger/` itself, as a gateway of one process
has; another `ledger/worker-N/`. After a start with fewer workers some folders are nobody's: estates. The first worker
ends them in the books, into their own files, before it begins, and goes on knowing what was spent in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway.adapters.journaled_ledger import JournaledLedger
from gateway.adapters.ledger_recovery import read_left
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import Amount
from gateway.core.seat import Seat
from gateway.ports import Clock

_WORKER = "worker-"


def folder_of(ledger: Path, seat: Seat) -> Path:
    """Where this worker writes."""
    return ledger if seat.is_first else ledger / f"{_WORKER}{seat.number}"


def worker_folders(ledger: Path) -> list[Path]:
    """Those of further workers, today's and former ones."""
    return sorted(path for path in ledger.glob(f"{_WORKER}*") if path.name.removeprefix(_WORKER).isdecimal())


def estates_of(ledger: Path, seat: Seat) -> list[Path]:
    """The folders that this worker answers for besides its own."""
    if not seat.is_first:
        return []
    taken = {folder_of(ledger, Seat(number, seat.count)) for number in range(seat.count)}
    return [folder for folder in worker_folders(ledger) if folder not in taken]


def others_of(ledger: Path, seat: Seat) -> list[Path]:
    """The folders that other workers answer for."""
    own = {folder_of(ledger, seat), *estates_of(ledger, seat)}
    return [folder for folder in (ledger, *worker_folders(ledger)) if folder not in own]


class LedgerBooks:
    """All that one worker answers for: its own ledger and the `estates`, which `build` makes ledgers of.

    What a Redis that has lost its memory is told is what all workers have spent: the other ones' files are read for
    it (`others`), because a worker may be asked while the others are not there, and lines come before Redis.
    """

    def __init__(
        self,
        inner: RedisLedger,
        own: JournaledLedger,
        estates: Sequence[Path],
        build: Callable[[Path], JournaledLedger],
        others: Callable[[], Sequence[Path]],
        clock: Clock,
    ) -> None:
        self._inner = inner
        self._own = own
        self._folders = estates
        self._build = build
        self._others = others
        self._clock = clock
        self._estates: list[JournaledLedger] = []

    async def start(self) -> int:
        """How many holds were still open."""
        self._inner.start()
        ended = 0
        for folder in self._folders:
            estate = self._build(folder)  # from here on batches are written into its file, until the next is built
            ended += await estate.recover()
            await self._inner.flush()
            self._estates.append(estate)
        self._own.attach()
        self._inner.rebuild_by(self._rebuild)
        return ended + await self._own.recover()

    async def stop(self) -> None:
        await self._own.stop()
        for estate in self._estates:
            await estate.close_file()

    async def _rebuild(self, tag: str, meters: Sequence[str]) -> Mapping[str, Amount]:
        own = await self._own.rebuild(tag, meters)
        estates = [estate.spent(tag, meters) for estate in self._estates]
        others = await asyncio.to_thread(_spent_in, self._others(), tag, meters, self._clock.unix_s())
        return _added([own, *estates, *others])


def _spent_in(folders: Sequence[Path], tag: str, meters: Sequence[str], now_s: float) -> list[Mapping[str, Amount]]:
    """What the lines in each of them say. Up to a second of CPU each; who owns it tells of damaged lines."""
    books = [read_left(folder, lambda damage: None).books for folder in folders]
    return [{meter: each.spent(tag, meter, now_s) for meter in meters} for each in books]


def _added(sums: Sequence[Mapping[str, Amount]]) -> Mapping[str, Amount]:
    """All of the same meters."""
    total = dict(sums[0])
    for each in sums[1:]:
        for meter, amount in each.items():
            total[meter] += amount
    return total

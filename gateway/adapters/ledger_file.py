"""The ledger file: what was spent, one JSON object a line, only ever appended to.

Files are named by UTC day and number (`2026-11-23.000001.ndjson`) and sort in the order they were written. A process
begins a file of its own, so a line that a `kill -9` tore is always the last of its file. A file also ends with its day
and at `max_file_bytes`; the first line of each is the `head`, which says what a reader of this file alone must know.

A line is at once in the file's tail (`ledger_tail`), and with others in the file, `_LINGER_S` later. Both survive the
death of the process; there is no `fsync`, and the last seconds may not survive the death of the machine. While the disk
takes nothing, lines wait here, up to `MAX_WAITING_BYTES`; beyond that they are lost, and a `gap` line says how many.
Requests never wait for the disk to mend.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from pathlib import Path
from typing import Any

import orjson

from gateway.adapters.behind import Behind
from gateway.adapters.health import Health
from gateway.adapters.ledger_tail import LedgerTail
from gateway.ports import Clock, Observer

Record = Mapping[str, Any]
"""What a line says: JSON values by name. `at` is Unix seconds, `type` the kind of line."""

SUFFIX = ".ndjson"
MAX_WAITING_BYTES = 8 * 1024 * 1024
_DAY_S = 86_400
_RETRY_S = 1.0
_LINGER_S = 0.05
_SWEEP_PAUSE_S = 1.0
_NOT_WRITTEN = "not written"
_NOT_DELETED = "not deleted"


class LedgerFile:
    """One writer. Between `start` and `stop` tasks of its own write what lingers, and delete files older than
    `keep_days`, one at a time."""

    def __init__(self, folder: Path, clock: Clock, observer: Observer, *, max_file_bytes: int, keep_days: int) -> None:
        self.folder = folder
        self._head: Callable[[], Record] | None = None
        self._clock = clock
        self._health = Health("ledger_file", observer)
        self._max_file_bytes = max_file_bytes
        self._keep_days = keep_days
        self._fd: int | None = None
        self._path = folder
        self._tail: LedgerTail | None = None
        self._day = -1
        self._number = 0
        self._size_bytes = 0
        self._waiting = bytearray()
        self._lost_lines = 0
        self._retry_at_s = 0.0
        self._lingering = Behind(self._drain_behind, pause_s=_LINGER_S)
        self._sweeping = Behind(self._sweep, pause_s=_SWEEP_PAUSE_S)

    def begin_with(self, head: Callable[[], Record]) -> None:
        """From now on `head` is asked for the first line of each new file."""
        self._head = head

    def start(self) -> None:
        self._lingering.start()
        self._sweeping.start()
        self._sweeping.wake()

    async def stop(self) -> None:
        """Writes what waits, if the disk takes it; else the tail stays, for the next start. The next `append` would
        begin a new file."""
        await self._sweeping.stop()
        self._retry_at_s = 0.0
        await self._lingering.stop()
        self._close()
        self._waiting.clear()

    def append(self, record: Record) -> bool:
        """From here on the line outlives this process: True; or, while the disk takes nothing, is kept until it does:
        False. Never raises."""
        day = int(record["at"] // _DAY_S)
        if self._fd is None or self._size_bytes + len(self._waiting) >= self._max_file_bytes or day != self._day:
            self.flush()
            if not self._waiting:
                self._turn(day)
        self._wait(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        return not self._retry_at_s

    def _turn(self, day: int) -> None:
        """The next file; it is made when its first line is written."""
        self._close()
        if day != self._day:
            self._day, self._number = day, 0
        if self._head is not None:
            self._wait(orjson.dumps(self._head(), option=orjson.OPT_APPEND_NEWLINE))

    def _wait(self, line: bytes) -> None:
        if len(self._waiting) + len(line) > MAX_WAITING_BYTES:
            self._lost_lines += 1
            return
        if not self._waiting:
            self._lingering.wake()
        self._waiting += line
        if self._tail is None or not self._tail.add(line):
            self.flush()

    async def _drain_behind(self) -> bool:
        self.flush()
        return not (self._waiting or self._lost_lines)

    def flush(self) -> None:
        """Everything that waits, in order. After a failure the disk is asked once in `_RETRY_S`, not at each line."""
        if self._retry_at_s and self._clock.monotonic_s() < self._retry_at_s:
            return
        try:
            if self._waiting:
                self._write(self._waiting)
                self._waiting.clear()
            if self._lost_lines:
                self._write(self._gap())
                self._lost_lines = 0
        except OSError as error:
            self._retry_at_s = self._clock.monotonic_s() + _RETRY_S
            self._health.broken(_NOT_WRITTEN, error.strerror or type(error).__name__)
            return
        self._retry_at_s = 0.0
        self._health.mended(_NOT_WRITTEN)

    def _gap(self) -> bytes:
        gap = {"type": "gap", "at": self._clock.unix_s(), "lines": self._lost_lines}
        return orjson.dumps(gap, option=orjson.OPT_APPEND_NEWLINE)

    def _write(self, line: bytes | bytearray) -> None:
        """All of it or nothing. Raises OSError."""
        fd = self._open() if self._fd is None else self._fd
        written = os.pwrite(fd, line, self._size_bytes)
        if written < len(line):
            os.ftruncate(fd, self._size_bytes)
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        self._size_bytes += written
        if self._tail is not None:
            self._tail.written(self._size_bytes)
        else:
            with suppress(OSError):  # without a tail each line is written at once
                self._tail = LedgerTail.begin(self._path, self._size_bytes)

    def _open(self) -> int:
        """A file that was not there before, so that two processes never share one. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        day = _day_name(self._day)
        if self._number == 0:
            numbers = (int(path.name.split(".")[1]) for path in self.folder.glob(f"{day}.*{SUFFIX}"))
            self._number = max(numbers, default=0)
        while self._fd is None:
            self._number += 1
            try:
                self._path = self.folder / f"{day}.{self._number:06}{SUFFIX}"
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
        self._size_bytes = 0
        self._sweeping.wake()
        return self._fd

    def _close(self) -> None:
        if self._tail is not None:
            self._tail.close(keep=bool(self._waiting))
            self._tail = None
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def _sweep(self) -> bool:
        """Delete the oldest file that is too old. True when none is left, or none can be deleted now."""
        first_kept = _day_name(int(self._clock.unix_s() // _DAY_S) - self._keep_days)
        try:
            is_last = await asyncio.to_thread(_delete_one, self.folder, first_kept)
        except OSError as error:
            self._health.broken(_NOT_DELETED, error.strerror or type(error).__name__)
            return True
        self._health.mended(_NOT_DELETED)
        return is_last


def ledger_files(folder: Path) -> list[Path]:
    """In the order they were written."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def _delete_one(folder: Path, first_kept: str) -> bool:
    """Freeing the blocks of one large file takes milliseconds, hence one at a time, and not on the event loop."""
    old = [path for path in ledger_files(folder) if path.name.split(".")[0] < first_kept]
    for path in old[:1]:
        path.unlink(missing_ok=True)
    return len(old) <= 1


def _day_name(day: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(days=day)).strftime("%Y-%m-%d")

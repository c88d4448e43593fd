"""One JSON line a request, for whoever keeps logs: the fields of the wide event, and no prompt, answer or key.

A thread of its own writes, so that a slow disk or a full pipe holds no request up. Telling puts the event into a
bounded queue (about 2 µs); of what does not fit any more the newest are dropped, and a line says how many. A file is
opened anew for each batch: whoever rotates logs renames it, and need tell nobody. A batch is one append, so lines of
several processes do not mix.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from queue import Empty, Full, Queue
from typing import BinaryIO

import orjson

from gateway.adapters.observers import Selective
from gateway.core.events import RequestFinished
from gateway.core.ledger_lines import request_record
from gateway.ports import Clock

MOST_WAITING = 10_000
_MOST_AT_ONCE = 500
_Told = tuple[RequestFinished, float]


class RequestLog(Selective):
    """Implements `ports.Observer`. `path` None: standard error."""

    def __init__(self, path: Path | None, clock: Clock, *, most_waiting: int = MOST_WAITING) -> None:
        self._path = path
        self._clock = clock
        self._waiting: Queue[_Told | None] = Queue(most_waiting)
        self._dropped = 0
        self._failing = False
        self._thread = threading.Thread(target=self._write, name="request log", daemon=True)
        self.hears = {RequestFinished: self._finished}

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Returns when all that was told has been written."""
        await asyncio.to_thread(self._end)

    def _finished(self, event: RequestFinished) -> None:
        try:
            self._waiting.put_nowait((event, self._clock.unix_s()))
        except Full:
            self._dropped += 1

    def _end(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _write(self) -> None:
        while (batch := self._batch())[-1:] != [None]:
            self._append(batch)
        self._append(batch[:-1])

    def _batch(self) -> list[_Told | None]:
        """What waits, one at least; None is the last that comes."""
        batch = [self._waiting.get()]
        try:
            while batch[-1] is not None and len(batch) < _MOST_AT_ONCE:
                batch.append(self._waiting.get_nowait())
        except Empty:
            pass
        return batch

    def _append(self, batch: list[_Told | None]) -> None:
        dropped, self._dropped = self._dropped, 0
        lines = [line_of(event, at_s) for event, at_s in filter(None, batch)]
        if dropped:
            lines.append(orjson.dumps({"event": "dropped", "lines": dropped}) + b"\n")
        try:
            with self._opened() as out:
                out.write(b"".join(lines))
            self._failing = False
        except (OSError, ValueError) as error:  # no disk, no reader, or standard error is closed
            if not self._failing:
                logging.getLogger("thriftgate").error("the request log cannot be written: %s", error)
            self._failing = True

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | FileIO]:
        if self._path is None:
            yield sys.stderr.buffer
            sys.stderr.buffer.flush()
        else:
            with self._path.open("ab", buffering=0) as file:
                yield file


def line_of(event: RequestFinished, at_s: float) -> bytes:
    """As the ledger's line of the request: money in integer nano-dollars; `at` is a moment of UTC."""
    at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    told = {
        "event": "request",
        "at": at,
        **{name: value for name, value in request_record(event, at_s).items() if name not in ("type", "at")},
    }
    return orjson.dumps(told) + b"\n"

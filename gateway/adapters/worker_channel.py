"""The talk between a supervisor and one of its workers: questions and news, both ways, over one unix socket.

A frame is the length of its head (32 bits, little-endian), the head (JSON), and the parts that the head gives the
sizes of. A question is answered under its number, by parts or by the reason why not; news is not answered. Each
question is worked on in a task of its own, so a slow one delays nobody.

Whoever closes the socket, or dies, ends the talk: every open question then fails, and `closed` is set.
"""

from __future__ import annotations

import asyncio
import struct
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson

Parts = Sequence[bytes]
Handler = Callable[[str, Parts], Awaitable[Parts]]
"""What is asked, with what → the answer. News is answered as well, into the void."""

_SIZE = struct.Struct("<I")
MAX_FRAME_BYTES = 256 * 2**20
"""Far beyond any snapshot; a length above it is not one."""


class Unheard(Exception):
    """There was no answer: the other end is gone, or took too long."""


class Declined(Exception):
    """The other end could not do it; the text says why."""


class WorkerChannel:
    """One end. `handle` answers what the other end asks; what it raises is told there as `Declined`."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, handle: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._open: dict[int, asyncio.Future[Parts]] = {}
        self._asked = 0
        self._answering: set[asyncio.Task[None]] = set()
        self.closed = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(), name="worker channel")

    async def ask(self, what: str, *parts: bytes, within_s: float) -> Parts:
        """The answer. Raises Declined or Unheard."""
        if self.closed.is_set():
            raise Unheard(f"{what}: the other end is gone")
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[Parts] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            self._send({"ask": what, "number": number}, parts)
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError as error:
            raise Unheard(f"{what}: no answer within {within_s:g} s") from error
        finally:
            del self._open[number]

    def tell(self, what: str, *parts: bytes) -> None:
        """News. Lost when the other end is gone."""
        if not self.closed.is_set():
            self._send({"tell": what}, parts)

    async def close(self) -> None:
        """Idempotent."""
        self._listening.cancel()
        await asyncio.gather(self._listening, *self._answering, return_exceptions=True)

    def _send(self, head: dict[str, Any], parts: Parts) -> None:
        written = orjson.dumps({**head, "sizes": [len(part) for part in parts]})
        self._writer.writelines((_SIZE.pack(len(written)), written, *parts))

    async def _listen(self) -> None:
        try:
            while True:
                await self._hear(*await self._frame())
        except (IncompleteReadError, OSError):
            pass  # the other end is gone
        finally:
            self.closed.set()
            for answer in self._open.values():
                if not answer.done():
                    answer.set_exception(Unheard("the other end is gone"))
            for task in self._answering:
                task.cancel()
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()

    async def _frame(self) -> tuple[dict[str, Any], Parts]:
        (head_bytes,) = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
        if head_bytes > MAX_FRAME_BYTES:
            raise OSError("not a frame")
        head: dict[str, Any] = orjson.loads(await self._reader.readexactly(head_bytes))
        return head, [await self._reader.readexactly(size) for size in head["sizes"]]

    async def _hear(self, head: dict[str, Any], parts: Parts) -> None:
        if "answer" in head:
            asked = self._open.get(head["answer"])
            if asked is not None and not asked.done():
                why = head.get("why")
                asked.set_result(parts) if why is None else asked.set_exception(Declined(why))
            return
        task = asyncio.create_task(self._answer(head, parts))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, head: dict[str, Any], parts: Parts) -> None:
        what = head.get("ask") or head["tell"]
        try:
            answer, why = await self._handle(what, parts), None
        except Exception as error:  # the border between two processes: whatever it is, the asker is told
            answer, why = (), str(error) or type(error).__name__
        if "ask" in head and not self.closed.is_set():
            self._send({"answer": head["number"], "why": why}, answer)

"""One flight with many readers.

Theory of operation. No reader is special: whoever leaves, or reads slowly, harms nobody. A stream is flown by a task
of its own, not by the request that opened it. The task takes chunks from upstream and appends them to a list; every
reader has a cursor into it and may board at any time before the end, because the list is kept from its start. A whole
answer, which has no pace, is flown by the request that opened it, whose `client` then holds on to its task: who leaves
it while others are aboard flies on for them, and is cancelled with the last of them.

*Pace.* The fastest reader sets it: the task stays at most `AHEAD_CHUNKS` in front of that one, so a single slow client
still slows its upstream down through TCP, and one slow client among many slows nobody. A reader that wants the whole
answer is as fast as can be.

*Memory.* At most `KEEP_CHUNKS` are kept. Beyond that nobody boards any more (a newcomer flies anew), what every reader
has passed is dropped, and a reader that has fallen behind even that is told so and leaves.

*The end.* There are three: the answer was whole (it has been settled and stored before any reader hears the end), it
failed (every reader gets the same failure: before the first chunk as a status, after it as an error event), or the
last reader left (what flies it is cancelled, which closes upstream and charges what it had produced). `when_landed`
runs after the end, when the bill is known: the request that opened the flight is told of then, even if it left long
before.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol

from gateway.core.chunks import Chunk, Completion, split
from gateway.core.errors import Unavailable
from gateway.flow.call import Trail
from gateway.flow.flight import Flight
from gateway.flow.tasks import Tasks, shielded

AHEAD_CHUNKS = 256
KEEP_CHUNKS = 16_384
"""About 16 MB of short chunks, and more than most answers have."""


class Client(Protocol):
    """Who has asked. `left`: gone before the answer's end."""

    left: bool

    def hold(self, needed: Callable[[], bool]) -> None:
        """From now on, leaving ends the request's task only if it is not `needed` then."""


class SharedFlight:
    """See the theory of operation above. `trail` is of the request that opened the flight, and pays for it. `keep`
    stores a whole answer; the flight has ended when it returns."""

    def __init__(
        self,
        trail: Trail,
        open: Callable[[], Awaitable[Flight]],
        keep: Callable[[Flight, Completion], Awaitable[None]],
    ) -> None:
        self.trail = trail
        self.flight: Flight | None = None
        self.failure: Exception | None = None
        self.ended = False
        self._open = open
        self._keep = keep
        self._chunks: list[Chunk] = []
        self._dropped = 0
        self._readers: set[Reader] = set()
        self._first: Reader | None = None
        self._fastest = 0
        self._abandoned = False
        self._task: asyncio.Task[Any] | None = None
        self._client: Client | None = None
        self._off = asyncio.Event()
        self._news = asyncio.Event()
        self._listening = False
        self._room = asyncio.Event()
        self._completion: Completion | None = None
        self._after: list[Callable[[], None]] = []

    @property
    def boards(self) -> bool:
        """Whether somebody new may still have the answer from its first chunk."""
        return self._dropped == 0 and self.failure is None and not self._abandoned

    def start(self, tasks: Tasks) -> None:
        """Owned by `tasks`. A reader must board in the same turn of the loop."""
        self._task = tasks.start(self._fly())
        # Not a `finally`: a task that is cancelled before its first step runs none.
        self._task.add_done_callback(lambda _: self._end())

    def fly_with(self, client: Client) -> None:
        """The first reader flies it, in `taken_off`, which it must call in the same turn of the loop."""
        self._client = client

    def board(self) -> Reader:
        reader = Reader(self)
        self._first = self._first or reader
        self._readers.add(reader)
        return reader

    def when_landed(self, call: Callable[[], None]) -> None:
        """At once if it has landed."""
        if self.ended:
            call()
        else:
            self._after.append(call)

    async def taken_off(self) -> None:
        """Returns with the first chunk there; raises what kept the flight on the ground."""
        if self._client is not None and self._task is None:
            await self._fly_here(self._client)
        else:
            await self._off.wait()
        if self.flight is None:
            raise self._why()

    async def completion(self) -> Completion:
        """The whole answer, shared by everyone who asks for it: not to be changed."""
        while not self.ended:
            await self._listen()
        if self._completion is None:
            raise self._why()
        return self._completion

    async def more(self, number: int) -> bool:
        """Waits for that chunk; False at the end. Raises what broke the flight off."""
        while number >= self._dropped + len(self._chunks):
            if not self.ended:
                await self._listen()
            elif self._completion is None:
                raise self._why()
            elif not self._chunks:  # it came whole, and this is the first who wants it in pieces
                self._chunks = split(self._completion)
            else:
                return False
        return True

    def chunk(self, number: int) -> Chunk | None:
        """That chunk; None if it is not there yet. Raises Unavailable if it is not there any more."""
        at = number - self._dropped
        if at < 0:
            raise Unavailable("This answer was read too slowly to be kept any longer.")
        return self._chunks[at] if at < len(self._chunks) else None

    def passed(self, number: int) -> None:
        """A reader stands before this chunk now."""
        if number > self._fastest:
            self._fastest = number
            self._room.set()

    async def leave(self, reader: Reader) -> None:
        """When it was the last, returns after upstream was closed and charged, also if the leaver is cancelled."""
        self._readers.discard(reader)
        if self.ended:
            return
        self._fastest = max((one.at for one in self._readers), default=0)
        if not self._readers and self._task is not None:
            self._abandoned = True
            self._task.cancel()
            await shielded(_over(self._task))

    async def _fly_here(self, client: Client) -> None:
        self._task = asyncio.current_task()
        client.hold(self._flies_on)
        try:
            await self._fly()
        finally:
            self._end()
        if client.left:  # and was needed until now
            raise asyncio.CancelledError

    def _flies_on(self) -> bool:
        """Its first reader's client has left."""
        if self.ended:
            return False
        if self._first is not None:
            self._readers.discard(self._first)
        self._abandoned = not self._readers
        return not self._abandoned

    async def _fly(self) -> None:
        try:
            flight = self.flight = await self._open()
            try:
                self._off.set()
                if flight.whole is None:
                    async with aclosing(flight.chunks()) as chunks:
                        async for chunk in chunks:
                            await self._publish(chunk)
                completion = await flight.completion()
                await self._keep(flight, completion)
                self._completion = completion
            finally:
                if not flight.landed:
                    await shielded(flight.land())
        except Exception as error:  # the border between the task and its readers, to whom it is raised instead
            self.failure = error

    async def _publish(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._tell()
        if len(self._chunks) > KEEP_CHUNKS:
            self._drop()
        while self._dropped + len(self._chunks) - self._fastest > AHEAD_CHUNKS:
            self._room.clear()
            await self._room.wait()

    def _drop(self) -> None:
        """What all have passed; in any case so much that it is worth a copy of the list."""
        slowest = min((reader.at for reader in self._readers), default=0)
        passed = min(slowest - self._dropped, len(self._chunks))
        count = max(passed, KEEP_CHUNKS // 4)
        del self._chunks[:count]
        self._dropped += count

    async def _listen(self) -> None:
        """Until something is new."""
        self._listening = True
        await self._news.wait()

    def _tell(self) -> None:
        if self._listening:
            self._listening = False
            news, self._news = self._news, asyncio.Event()
            news.set()

    def _end(self) -> None:
        self.ended = True
        self._open = None  # type: ignore[assignment]  # it holds the request, and readers may hold this for long
        self._off.set()
        self._tell()
        for call in self._after:
            call()

    def _why(self) -> Exception:
        """A flight without a failure was called off, which nobody who still reads has asked for: a shutdown."""
        return self.failure or Unavailable("The gateway is shutting down.")


async def _over(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])


class Reader:
    """One request's place in a flight. Single use; `leave` in a `finally`."""

    def __init__(self, flight: SharedFlight) -> None:
        self.flight = flight
        self.at = 0

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """From the first chunk on, shared by all who read: not to be changed."""
        while await self.flight.more(self.at):
            while (chunk := self.flight.chunk(self.at)) is not None:
                self.at += 1
                self.flight.passed(self.at)
                yield chunk

    async def whole(self) -> Completion:
        self.at = sys.maxsize
        self.flight.passed(self.at)
        return {**await self.flight.completion()}

    async def leave(self) -> None:
        await self.flight.leave(self)

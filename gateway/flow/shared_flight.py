"""One flight with many readers.

Theory of operation. No reader is special: whoever leaves, or reads slowly, harms nobody. Chunks that have come are in a
list; every reader has a cursor into it and may board at any time before the end, because the list is kept from its
start. Nobody flies ahead: a reader that has read all there is takes the next step itself (asking a model, fetching
what comes next, or settling and storing at the end), as the *pilot* of that step, and the others wait for what it
brings. So a flight has no task of its own, and one with a single reader costs no turn of the loop but its own.

*Pace.* The fastest reader sets it, because only who has read everything asks for more: a single slow client slows its
upstream down through TCP, and one slow client among many slows nobody. A reader that wants the whole answer is as fast
as can be.

*Leaving.* Who leaves between two steps just leaves. A pilot whose client leaves while others are aboard takes its step
to the end for them (`Client.hold`), and is cancelled with the last of them.

*Memory.* At most `KEEP_CHUNKS` are kept. Beyond that nobody boards any more (a newcomer flies anew), what every reader
has passed is dropped, and a reader that has fallen behind even that is told so and leaves.

*The end.* There are three: the answer was whole (it has been settled and stored before any reader hears the end), it
failed (every reader gets the same failure: before the first chunk as a status, after it as an error event), or the
last reader left (which closes upstream and charges what it had produced). A pilot that is cancelled otherwise, by a
shutdown, ends it for all. `when_landed` runs after the end, when the bill is known: the request that opened the flight
is told of then, even if it left long before.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from gateway.core.chunks import Chunk, Completion, split
from gateway.core.errors import Unavailable
from gateway.flow.call import Trail
from gateway.flow.flight import Flight
from gateway.flow.tasks import shielded

KEEP_CHUNKS = 16_384
"""About 16 MB of short chunks, and more than most answers have."""
AT_ONCE_CHUNKS = 256
"""What a reader is given at most, so that who boards late does not keep everybody waiting."""


class Client(Protocol):
    """Who has asked. `left`: gone before the answer's end."""

    left: bool
    task: asyncio.Task[Any]
    """What the request runs in."""

    def hold(self, needed: Callable[[], bool]) -> None:
        """From now on, leaving ends the request's task only if it is not `needed` then."""


class SharedFlight:
    """See the theory of operation above. `trail` is of the request that opened the flight, and pays for it. `keep`
    stores a whole answer, and returns its JSON if that took any; the flight has ended when it returns."""

    def __init__(
        self,
        trail: Trail,
        open: Callable[[], Awaitable[Flight]],
        keep: Callable[[Flight, Completion], Awaitable[bytes | None]],
    ) -> None:
        self.trail = trail
        self.flight: Flight | None = None
        self.failure: Exception | None = None
        self.ended = False
        self.body: bytes | None = None
        """The whole answer as JSON, if keeping it has made that."""
        self._open = open
        self._keep = keep
        self._chunks: list[Chunk] = []
        self._dropped = 0
        self._readers: set[Reader] = set()
        self._pilot: Reader | None = None
        self._abandoned = False
        self._news: asyncio.Event | None = None
        self._completion: Completion | None = None
        self._after: list[Callable[[], None]] = []

    @property
    def boards(self) -> bool:
        """Whether somebody new may still have the answer from its first chunk."""
        return self._dropped == 0 and self.failure is None and not self._abandoned

    def board(self, client: Client | None = None) -> Reader:
        """To be called in the task that will read."""
        reader = Reader(self, client)
        self._readers.add(reader)
        return reader

    def when_landed(self, call: Callable[[], None]) -> None:
        """At once if it has landed."""
        if self.ended:
            call()
        else:
            self._after.append(call)

    async def taken_off(self, reader: Reader) -> None:
        """Returns with the first chunk there; raises what kept the flight on the ground."""
        while self.flight is None and not self.ended:
            await self._step(reader)
        if self.flight is None:
            raise self._why()

    async def completion(self, reader: Reader) -> Completion:
        """The whole answer, shared by everyone who asks for it: not to be changed."""
        while not self.ended:
            await self._step(reader)
        if self._completion is None:
            raise self._why()
        return self._completion

    async def more(self, reader: Reader) -> list[Chunk]:
        """The chunks that this reader has not read, at least one; none at the end. They are shared by all who read:
        not to be changed. Raises what broke the flight off, and Unavailable for a reader too far behind."""
        while True:
            at = reader.at - self._dropped
            if at < 0:
                raise Unavailable("This answer was read too slowly to be kept any longer.")
            if chunks := self._chunks[at : at + AT_ONCE_CHUNKS]:
                reader.at += len(chunks)
                return chunks
            if not self.ended:
                await self._step(reader)
            elif self._completion is None:
                raise self._why()
            elif reader.at:
                return []
            else:  # it came whole, and this is the first who wants it in pieces
                self._chunks = split(self._completion)

    def flies_on(self, reader: Reader) -> bool:
        """That reader's client has left: whether the reader is needed until its step is over."""
        if self._pilot is not reader:
            return False
        self._readers.discard(reader)
        self._abandoned = not self._readers
        return not self._abandoned

    async def leave(self, reader: Reader) -> None:
        """When it was the last, returns after upstream was closed and charged, also if the leaver is cancelled."""
        self._readers.discard(reader)
        if self.ended or self._readers:
            return
        self._abandoned = True
        if self._pilot is not None:
            self._pilot.task.cancel()
            await shielded(self._listen())  # that step is its last
        else:
            await self._break_off()

    def _step(self, reader: Reader) -> Awaitable[None]:
        """Until something is new. Whoever comes first brings it about."""
        return self._fly(reader) if self._pilot is None else self._listen()

    async def _fly(self, pilot: Reader) -> None:
        """One step. What it fails of is the flight's failure."""
        self._pilot = pilot
        try:
            if self.flight is None:
                self.flight = await self._open()
                if self.flight.whole is not None:
                    await self._finish(self.flight)
            elif chunks := await self.flight.more():
                self._chunks += chunks
                if len(self._chunks) > KEEP_CHUNKS:
                    self._drop()
            else:
                await self._finish(self.flight)
        except BaseException as error:
            if isinstance(error, Exception):
                self.failure = error
            await self._break_off()
            if not isinstance(error, Exception):
                raise
        finally:
            self._pilot = None
            if self._news is not None:
                self._news.set()
                self._news = None
        if pilot.client is not None and pilot.client.left:  # and was needed until now
            raise asyncio.CancelledError

    async def _finish(self, flight: Flight) -> None:
        completion = await flight.completion()
        self.body = await self._keep(flight, completion)
        self._completion = completion
        self._end()

    async def _break_off(self) -> None:
        try:
            if self.flight is not None and not self.flight.landed:
                await shielded(self.flight.land())
        finally:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._open = None  # type: ignore[assignment]  # it holds the request, and readers may hold this for long
        for call in self._after:
            call()

    def _drop(self) -> None:
        """What all have passed; in any case so much that it is worth a copy of the list."""
        slowest = min((reader.at for reader in self._readers), default=0)
        passed = min(slowest - self._dropped, len(self._chunks))
        count = max(passed, KEEP_CHUNKS // 4)
        del self._chunks[:count]
        self._dropped += count

    async def _listen(self) -> None:
        """Until the pilot's step is over."""
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    def _why(self) -> Exception:
        """A flight without a failure was called off, which nobody who still reads has asked for: a shutdown."""
        return self.failure or Unavailable("The gateway is shutting down.")


class Reader:
    """One request's place in a flight. Single use; `leave` in a `finally`."""

    __slots__ = ("at", "client", "flight", "task")

    def __init__(self, flight: SharedFlight, client: Client | None) -> None:
        task = asyncio.current_task() if client is None else client.task
        assert task is not None
        self.flight = flight
        self.client = client
        self.task = task
        self.at = 0
        if client is not None:
            client.hold(self._is_needed)

    def taken_off(self) -> Awaitable[None]:
        """As `SharedFlight.taken_off`."""
        return self.flight.taken_off(self)

    async def whole(self) -> Completion:
        self.at = sys.maxsize
        return {**await self.flight.completion(self)}

    def leave(self) -> Awaitable[None]:
        return self.flight.leave(self)

    def _is_needed(self) -> bool:
        return self.flight.flies_on(self)

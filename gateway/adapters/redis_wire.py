"""One pipelined connection to one Redis server, for the commands that requests wait for.

Theory of operation. Whatever is sent in one turn of the loop leaves in one write, and replies come back in the order of
their commands, so any number of requests share the connection and none waits for another's round trip. Why not
redis-py's own: it takes a connection of its pool for each command, with a lock and a time-out of its own around each
step, which is 50 to 90 µs of CPU a GET (PERFORMANCE study, 2026-11-23); here it is 10. What could be wrong is left to
others: hiredis writes and reads the protocol, and everything but the hottest commands still goes through redis-py.

One timer watches the oldest command. When it is `timeout_s` old the connection is given up, and with it all that
wait: behind a reply that does not come, no other can. A timer that itself came late says that our own loop was busy and
the reply may lie unread; it looks once more after another `timeout_s`.

Errors are redis-py's: ResponseError for a refusal (NoScriptError where that is why), ConnectionError, TimeoutError.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import hiredis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

Word = bytes | str | int | float

# A timer noticed this much of its time too late says that our own loop was busy (`redis_link` measured it).
_LATE = 0.1


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is: a unix socket's `path`, or `host` and `port`."""

    path: str = ""
    host: str = ""
    port: int = 6379
    username: str | None = None
    password: str | None = None
    database: int = 0


class RedisWire:
    """Opens with the first command, and again after a loss. For one event loop."""

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None

    def send(self, *words: Word) -> asyncio.Future[Any]:
        """A command; its reply, whose bytes are not decoded. Cancelling it does not unsend it."""
        return self._open().send((words,))

    def send_all(self, commands: Sequence[tuple[Word, ...]]) -> asyncio.Future[Any]:
        """Commands of which only the last one's reply is of interest, unless one before is refused."""
        return self._open().send(commands)

    def _open(self) -> _Connection:
        connection = self._connection
        if connection is None or connection.lost:
            connection = self._connection = _Connection(self._address, self._timeout_s)
        return connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class _Connection(asyncio.Protocol):
    """One socket, from the first command to its loss."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self.lost = False
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(replyError=_refusal, notEnoughData=_NOTHING)
        self._transport: asyncio.WriteTransport | None = None
        self._unsent: list[bytes] = []
        self._flushing = False
        self._waiting: deque[tuple[asyncio.Future[Any] | None, float]] = deque()
        self._refused: RedisError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._was_late = False
        for words in _greeting(address):
            self.send((words,)).add_done_callback(self._greeted)
        self._opening = self._loop.create_task(self._open(address))

    def send(self, commands: Sequence[tuple[Word, ...]]) -> asyncio.Future[Any]:
        """The last one's reply; a refusal if any of them is refused."""
        packed = list(map(hiredis.pack_command, commands))  # type: ignore[arg-type]  # its stub means a tuple of one
        reply = self._loop.create_future()
        self._unsent += packed
        due_s = self._loop.time() + self._timeout_s
        if len(commands) > 1:
            self._waiting.extend([(None, due_s)] * (len(commands) - 1))
        self._waiting.append((reply, due_s))
        if self._timer is None:
            self._timer = self._loop.call_at(due_s, self._look)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return reply

    async def close(self) -> None:
        self._lose(RedisConnectionError("closed"))
        self._opening.cancel()
        await asyncio.wait({self._opening})

    async def _open(self, address: Address) -> None:
        try:
            if address.path:
                await self._loop.create_unix_connection(lambda: self, address.path)
            else:
                await self._loop.create_connection(lambda: self, address.host, address.port)
        except OSError as error:
            self._lose(RedisConnectionError(error.strerror or type(error).__name__))

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is not None and self._unsent and not self.lost:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def _greeted(self, reply: asyncio.Future[Any]) -> None:
        """Nobody asks for the replies to AUTH and SELECT: one that is an error is everybody's."""
        if not reply.cancelled() and (error := reply.exception()) is not None:
            self._lose(RedisConnectionError(type(error).__name__))

    def _look(self) -> None:
        """At the oldest command: it has waited long enough, unless it has been answered since."""
        self._timer = None
        if not self._waiting:
            return
        due_s, now_s = self._waiting[0][1], self._loop.time()
        if due_s > now_s:
            self._was_late = False
            self._timer = self._loop.call_at(due_s, self._look)
        elif now_s - due_s > _LATE * self._timeout_s and not self._was_late:
            self._was_late = True
            self._timer = self._loop.call_later(self._timeout_s, self._look)
        else:
            self._lose(RedisTimeoutError("no answer in time"))

    def _lose(self, error: Exception) -> None:
        """Whoever waits hears why; twice is once."""
        if self.lost:
            return
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        waiting, self._waiting = self._waiting, deque()
        for reply, _ in waiting:
            if reply is not None and not reply.done():
                reply.set_exception(error)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        if self.lost:
            self._transport.abort()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not _NOTHING:
                self._hear(self._waiting.popleft()[0], answer)
        except (hiredis.ProtocolError, IndexError):  # not RESP, or more replies than commands
            self._lose(RedisConnectionError("the server did not speak Redis"))

    def _hear(self, reply: asyncio.Future[Any] | None, answer: Any) -> None:
        if isinstance(answer, RedisError):
            self._refused = self._refused or answer
        if reply is None:
            return
        refusal, self._refused = self._refused, None
        if reply.done():  # cancelled
            return
        if refusal is not None:
            reply.set_exception(refusal)
        else:
            reply.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(RedisConnectionError("the connection was closed"))


_NOTHING = object()


def _greeting(address: Address) -> list[tuple[Word, ...]]:
    words: list[tuple[Word, ...]] = []
    if address.password is not None:
        words.append(("AUTH", *([address.username] if address.username else []), address.password))
    if address.database:
        words.append(("SELECT", address.database))
    return words


_REFUSALS: Mapping[str, type[RedisError]] = {
    "LOADING": BusyLoadingError,
    "MASTERDOWN": MasterDownError,
    "NOAUTH": AuthenticationError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "WRONGPASS": AuthenticationError,
}
"""By the first word of a refusal, as redis-py has it: the first two and the bad password count as no connection."""


def _refusal(message: str) -> RedisError:
    return _REFUSALS.get(message.partition(" ")[0], ResponseError)(message)

"""One client's HTTP/1.1 connection: bytes in, exchanges out, and one task that answers them in turn.

llhttp parses, by the callbacks `on_…`. A request is answered as soon as its head has come; one that was sent behind
another waits until that has been answered, and nothing more is read meanwhile. uvicorn makes a connection for each
socket and stops it; its own protocol, which this took the place of, makes a task for each request and three coroutines
around the application, an event for each message, a call for each header, and parses every path as a URL.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.server import ServerState

from gateway.http.departure import Loss
from gateway.http.exchange import ClientLeft, Exchange

logger = logging.getLogger("thriftgate")
_NOT_HTTP = b"""\
HTTP/1.1 400 Bad Request\r
content-type: text/plain; charset=utf-8\r
content-length: 30\r
connection: close\r
\r
Invalid HTTP request received."""


class Application(Protocol):
    """What a server is given: `answer` takes a request, the call itself ASGI's lifespan."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...
    async def answer(self, exchange: Exchange) -> None: ...


class Connection(asyncio.Protocol):
    """Implements `exchange.Wire`. Made by `uvicorn.Server`, of whose settings it knows `timeout_keep_alive`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._answer: Callable[[Exchange], Awaitable[None]] = cast(Application, config.app).answer
        self._server = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self.loss = Loss()
        self.is_full = False
        self._target = b""
        self._lines: dict[bytes, bytes] = {}
        self.on_header = self._lines.__setitem__  # so that no Python runs for a header
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)  # it is passed over, not an error
        self._newest: Exchange | None = None
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._reading = True
        self._unsent = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._server_lines = b""
        self._keep_alive_s: float = config.timeout_keep_alive
        self._idle_since_s: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)  # type: ignore[arg-type]  # all it is asked for is `shutdown`
        self.task = self._loop.create_task(self._serve())
        self._server.tasks.add(self.task)
        self.task.add_done_callback(self._server.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._transport.close()
        self._wake()
        self.resume_writing()
        self.loss.happen()
        del self._parser  # they know each other

    def shutdown(self) -> None:
        """The server's: whoever is being answered is the last."""
        if self._newest is None or self._newest.ended:
            self._transport.close()
        else:
            self._newest.keep_alive = False

    # requests in

    def data_received(self, data: bytes) -> None:
        self._idle_since_s = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # an offer, which is declined by answering in HTTP/1.1
            pass
        except httptools.HttpParserError:
            if self._current is None or not self._current.started:
                self.write(_NOT_HTTP)
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_headers_complete(self) -> None:
        target = self._target.decode("latin-1")
        self._target = b""
        headers = {_NAMES[name]: value.decode("latin-1") for name, value in self._lines.items()}
        parser = self._parser
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        method = parser.get_method().decode("ascii")
        self._newest = exchange = Exchange(self, method, _path(target), target, headers, keep_alive=keep_alive)
        if self._current is None:
            self._current = exchange
            self._wake()
        else:
            self._waiting.append(exchange)
            self._pause_reading()

    def on_body(self, part: bytes) -> None:
        if self._newest is not None and not self._newest.take(part):
            self._pause_reading()
        if self._arrival is not None:
            self._wake()

    def on_message_complete(self) -> None:
        if self._newest is not None:
            self._newest.is_whole = True
        self._lines.clear()  # here, so that what comes behind a chunked body is not the next request's
        if self._arrival is not None:
            self._wake()

    async def more(self) -> None:
        """As `exchange.Wire`."""
        if self.loss.happened:
            raise ClientLeft
        if not self._reading:
            self._resume_reading()
        self._arrival = self._loop.create_future()
        await self._arrival
        if self.loss.happened:
            raise ClientLeft

    def _wake(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        self._reading = True
        self._transport.resume_reading()

    # answers

    async def _serve(self) -> None:
        """Answers one request after the other, until the connection ends."""
        try:
            while not self._transport.is_closing():
                if self._current is None:
                    self._arrival = self._loop.create_future()
                    await self._arrival
                else:
                    await self._answer(self._current)
                    self._answered(self._current)
        except Exception:
            logger.exception("a connection broke")
        finally:
            self._flush()
            self._transport.close()

    def _answered(self, exchange: Exchange) -> None:
        if self._unsent:
            self._flush()
        if not (exchange.ended and exchange.keep_alive):  # one that broke off is told so by the connection's end
            self._transport.close()
            return
        if not self._reading:
            self._resume_reading()
        self._current = self._waiting.popleft() if self._waiting else None
        if self._current is None:
            if exchange.is_whole:  # nothing of it is still to come, and who is idle keeps no body
                self._newest = None
            self._idle_since_s = self._loop.time()
            if self._idle_timer is None:
                self._idle_timer = self._loop.call_later(self._keep_alive_s, self._look_whether_idle)

    def _look_whether_idle(self) -> None:
        """Ends an idle connection. A busy one is looked at again after its next response."""
        self._idle_timer = None
        if self._idle_since_s is None:
            return
        left_s = self._idle_since_s + self._keep_alive_s - self._loop.time()
        if left_s > 0:
            self._idle_timer = self._loop.call_later(left_s, self._look_whether_idle)
        else:
            self._transport.close()

    # bytes out

    def address(self, of: Literal["peername", "sockname"]) -> tuple[str, int]:
        """As `exchange.Wire`."""
        host, port, *_ = self._transport.get_extra_info(of)
        return host, port

    def server_lines(self) -> bytes:
        """As `exchange.Wire`."""
        if self._headers is not self._server.default_headers:  # another list each second
            self._headers = self._server.default_headers
            self._server_lines = b"".join([b"%b: %b\r\n" % header for header in self._headers])
        return self._server_lines

    def write(self, data: bytes) -> None:
        """As `exchange.Wire`."""
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def write_along(self, data: bytes) -> None:
        """As `exchange.Wire`."""
        self._unsent += data
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._unsent:
            self.write(b"")

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def emptied(self) -> None:
        """As `exchange.Wire`."""
        while self.is_full:
            self._room = self._loop.create_future()
            await self._room


class _Names(dict[bytes, str]):
    """Header names as they are sent, in lower case. There are few, and a stranger who sends others fills nothing."""

    def __missing__(self, name: bytes) -> str:
        known = name.decode("latin-1").lower()
        if len(self) < 1_024 and len(name) < 64:
            self[name] = known
        return known


_NAMES = _Names()


def _path(target: str) -> str:
    """Of a request's target, which for most of them is nothing else. Raises httptools.HttpParserError."""
    if target[0] == "/" and "?" not in target and "%" not in target and "#" not in target:
        return target
    return unquote(httptools.parse_url(target.encode("latin-1")).path.decode("latin-1"))

"""One client's HTTP/1.1 connection: uvicorn's, with less to do for each request.

What differs: the head is written together with the first of the body, as ASGI asks for it, and what an application
sends within one turn of the loop is one write; header names and values are searched once for what may not be in them
and not one by one; a connection has one keep-alive timer and not one for each request; and it says by itself when it
is lost, so that nobody needs a task to wait for that. Parsing, pipelining, flow control and shutdown are uvicorn's.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from gateway.http.exchange import LOSS, Loss

_WITHOUT_BODY = frozenset({204, 304})


class Connection(HttpToolsProtocol):
    """See above. Made for each socket by `uvicorn.Server`, whose `limit_concurrency`, `root_path`, access log and web
    sockets it does not know."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loss = Loss()
        self._idle_since_s: float | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {LOSS: self._loss}  # type: ignore[dict-item]  # in one process, any object will do

    def on_headers_complete(self) -> None:
        url = httptools.parse_url(self.url)
        version = self.parser.get_http_version()
        scope: Any = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["raw_path"] = url.path
        scope["path"] = unquote(url.path.decode("ascii"))
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = Cycle(self, keep_alive=version != "1.0" and self.parser.should_keep_alive())
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # a request sent behind another waits for its answer
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Ends an idle connection. A busy one is looked at again after its next response."""
        self.timeout_keep_alive_task = None
        if self._idle_since_s is None:
            return
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._look_again_in(left_s)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        self._loss.happen()

    def _look_again_in(self, wait_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(wait_s, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """Something has come."""
        self._idle_since_s = None


class Cycle(RequestResponseCycle):
    """A request and its response."""

    def __init__(self, connection: Connection, *, keep_alive: bool) -> None:
        super().__init__(
            scope=connection.scope,
            transport=connection.transport,
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.access_logger,
            access_log=False,
            default_headers=connection.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=connection.expect_100_continue,
            keep_alive=keep_alive,
            on_response=connection.on_response_complete,
        )
        self._loop = connection.loop
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._will_flush = False

    async def run_asgi(self, app: Any) -> None:
        async def saying_all(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            finally:  # an answer that breaks off has been heard so far
                self._flush()

        await super().run_asgi(saying_all)

    async def send(self, message: Any) -> None:
        """ASGI's. Waits while the client reads slowly."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        expected = "http.response.body" if self.response_started else "http.response.start"
        if message["type"] != expected or self.response_complete:
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        if self.response_started:
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._begin(message["status"], [*self.default_headers, *message.get("headers", ())])

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head, which is written with the first of the body. Raises RuntimeError for what would split it."""
        self.response_started = True
        self.waiting_for_100_continue = False
        said = dict(headers)
        if HEADER_RE.search(b"".join(said)) or HEADER_VALUE_RE.search(b"".join([value for _, value in headers])):
            raise RuntimeError("a header that HTTP cannot carry")
        lines = [b"%b: %b\r\n" % header for header in headers]
        if b"close" in said.get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        length = said.get(b"content-length")
        self.chunked_encoding = length is None and self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY
        self.expected_content_length = int(length or 0)
        if self.chunked_encoding:
            lines.append(b"transfer-encoding: chunked\r\n")
        self._unsent.append(b"%b%b\r\n" % (STATUS_LINE[status], b"".join(lines)))

    def _write(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            body = b""
            self.expected_content_length = 0
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("a body that is not as long as its content-length")
        self._unsent.append(body)
        self._unsent_bytes += len(body)
        if not more:
            self._flush()
            self._end()
        elif self._unsent_bytes > HIGH_WATER_LIMIT:
            self._flush()
        elif not self._will_flush:
            self._will_flush = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Sends what was written in this turn of the loop: events that came together leave together."""
        self._will_flush = False
        data = b"".join(self._unsent)
        if data and not self.transport.is_closing():
            self.transport.write(data)
        self._unsent.clear()
        self._unsent_bytes = 0

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

"""One HTTP/1.1 connection to a provider: asyncio moves the bytes, llhttp (httptools) parses them.

Theory of operation. A connection carries one exchange at a time. `send` writes head and body in one call; `head`
resolves when the response's head is parsed; `read` hands out body bytes as they arrive and None at the end; `whole`
waits for all of it. The socket is read all the time, so a provider that closes an idle connection is seen at once and
the pool never hands it out. Everything that may go wrong ends the connection, and `reusable` is true only for a
connection on which exactly one whole response has arrived and nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import lru_cache
from typing import cast

import httptools

from gateway.adapters.transport import (
    MAX_BODY_BYTES,
    MAX_ERROR_BYTES,
    Whole,
    accepted,
    cut,
    max_bytes,
    refuse_encoding,
    too_large,
)
from gateway.core.errors import UpstreamError, UpstreamMalformed

_MAX_HEAD_BYTES = 64 * 1024
_PAUSE_AT_BYTES = 256 * 1024


class Http1Connection(asyncio.Protocol):
    """The protocol of one socket. Not safe for two exchanges at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now_s = self._loop.time
        self._transport: asyncio.Transport
        self.closed = False
        self.idle_since_s = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._parts: list[bytes] = []
        self._buffered_bytes = 0
        self._pause_at_bytes = _PAUSE_AT_BYTES
        self._wanted_whole = False
        self._status = 0
        self._whole = False
        self._keeps_alive = False
        self._failure: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def reusable(self) -> bool:
        return self._whole and self._keeps_alive and not self.closed

    def send(self, request: bytes) -> None:
        """Begin an exchange."""
        self._reset()
        self._transport.write(request)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers. Raises UpstreamCut and UpstreamMalformed."""
        while not self._status:
            await self._news()
        return self._status, self._headers

    async def read(self) -> bytes | None:
        """What has arrived of the body, or None at its end. Raises UpstreamCut and UpstreamMalformed."""
        while not self._parts:
            if self._whole:
                return None
            await self._news()
        parts, self._parts = self._parts, []
        part = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._buffered_bytes > self._pause_at_bytes and not self.closed:
            self._transport.resume_reading()
        self._buffered_bytes = 0
        return part

    async def whole(self) -> Whole:
        """The whole response. Raises UpstreamCut and UpstreamMalformed."""
        self._pause_at_bytes = MAX_BODY_BYTES
        self._wanted_whole = True
        try:
            while not self._whole:
                await self._news()
                if self._buffered_bytes > MAX_ERROR_BYTES and self._buffered_bytes > max_bytes(self._status):
                    raise too_large(max_bytes(self._status))
        except UpstreamError:
            if not self._status or accepted(self._status):
                raise
            self._parts.clear()
        refuse_encoding(self._headers)
        return Whole(self._status, self._headers, b"".join(self._parts))

    def abort(self) -> None:
        """Close the socket now, whatever is still to come."""
        self.closed = True
        self._transport.abort()

    def _news(self) -> Awaitable[None]:
        """Until something has happened. Raises at once what nothing can follow."""
        if self._failure is None and self.closed:
            self._failure = cut()
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are not registered as such

    def data_received(self, data: bytes) -> None:
        if self._whole or self._failure is not None:  # bytes nobody asked for: this connection is not to be trusted
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("The provider did not speak HTTP.")
        if not self._status and self._count_head(len(data)) > _MAX_HEAD_BYTES:
            self._fail("The head of the provider's answer is too large.")
        if not self._wanted_whole or self._whole or self.closed or self._buffered_bytes > MAX_ERROR_BYTES:
            self._wake()  # else there is nothing yet for who waits for all of it

    def eof_received(self) -> None:
        """The provider will send no more; asyncio closes the transport, and `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if exc is None and self._status and self._ends_with_connection():
            self._whole = True
        self._wake()

    def _ends_with_connection(self) -> bool:
        """RFC 9112 §6.3: without a length or chunks, the body lasts until the connection closes."""
        return "content-length" not in self._headers and "transfer-encoding" not in self._headers

    def _count_head(self, size_bytes: int) -> int:
        """The parser keeps an unfinished head in memory, however long it gets."""
        self._head_bytes += size_bytes
        return self._head_bytes

    def _fail(self, message: str) -> None:
        """The exchange fails; one that is already whole does not, but its connection is done for."""
        if not self._whole:
            self._failure = UpstreamMalformed(message, reached=True)
        self.abort()

    # httptools

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = _header_name(name), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # 100 Continue, 103 Early Hints: the answer is still to come
            self._headers.clear()
        else:
            self._status = status

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._buffered_bytes += len(data)
        if self._buffered_bytes > self._pause_at_bytes:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._whole = bool(self._status)
        self._keeps_alive = self._parser.should_keep_alive()  # llhttp forgets it with the next byte


@lru_cache(maxsize=512)  # a provider sends the same thirty each time
def _header_name(name: bytes) -> str:
    return name.decode("latin-1").lower()

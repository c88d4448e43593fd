"""The transport of the hot path: a pool of plain HTTP/1.1 connections on the event loop itself.

Why our own (2026-11-23): pyreqwest 0.15.1 is as fast, but cancelling a request whose head has not arrived does not
close its connection (its Rust task runs on), so a client that leaves a whole answer is generated and billed to the
end. aiohttp closes it and costs 130 µs more of CPU a request. What could be wrong here is left to others: llhttp
parses, asyncio does TLS, httpx chooses the certificates, and every test runs against the httpx transport as well.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from gateway.adapters.http1_connection import Http1Connection
from gateway.adapters.transport import Response, Whole, connect_timeout, cut, refuse_encoding, unreachable

_MAX_IDLE_S = 60.0


class _Origin(NamedTuple):
    host: str
    port: int
    tls: bool


class Http1Transport:
    """Unbounded connections, reused last in first out, so that a quiet pool shrinks."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._idle: defaultdict[_Origin, list[Http1Connection]] = defaultdict(list)

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> AbstractAsyncContextManager[Response]:
        origin, head = _head(url, tuple(headers.items()))
        return _Exchange(self, origin, _request(head, body), connect_s)

    async def exchange(self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float) -> Whole:
        origin, head = _head(url, tuple(headers.items()))
        connection = self.idle(origin) or await self.connect(origin, connect_s)
        try:
            connection.send(_request(head, body))
            return await connection.whole()
        finally:
            self.give_back(origin, connection)

    async def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def idle(self, origin: _Origin) -> Http1Connection | None:
        """One that is there already, which is then the caller's."""
        idle = self._idle[origin]
        while idle:
            connection = idle.pop()
            if not connection.closed and connection.now_s() - connection.idle_since_s < _MAX_IDLE_S:
                return connection
            connection.abort()
        return None

    def give_back(self, origin: _Origin, connection: Http1Connection) -> None:
        if connection.reusable:
            connection.idle_since_s = connection.now_s()
            self._idle[origin].append(connection)
        else:
            connection.abort()

    async def connect(self, origin: _Origin, connect_s: float) -> Http1Connection:
        """A new connection, its TLS handshake done. Raises UpstreamUnreachable and UpstreamTimeout."""
        loop = asyncio.get_running_loop()
        context = self._context() if origin.tls else None
        try:
            async with asyncio.timeout(connect_s):
                _, connection = await loop.create_connection(Http1Connection, origin.host, origin.port, ssl=context)
        except TimeoutError as error:
            raise connect_timeout(connect_s) from error
        except OSError as error:  # refused, unresolved, no route, and every ssl.SSLError
            raise unreachable(type(error).__name__) from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        return self._tls


class _Exchange:
    """One request and its response. A class and not a generator: the event loop keeps a list of every generator that
    is waited for, which with the rest of its keeping cost 10 µs a request."""

    __slots__ = ("_connect_s", "_connection", "_origin", "_over", "_request", "_transport")

    def __init__(self, transport: Http1Transport, origin: _Origin, request: bytes, connect_s: float) -> None:
        self._transport = transport
        self._origin = origin
        self._request = request
        self._connect_s = connect_s
        self._over = False

    async def __aenter__(self) -> Response:
        connection = self._connection = self._transport.idle(self._origin) or await self._transport.connect(
            self._origin, self._connect_s
        )
        try:
            connection.send(self._request)
            status, received = await connection.head()
            refuse_encoding(received)
        except BaseException:
            self._transport.give_back(self._origin, connection)
            raise
        return Response(status, received, self._read)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._transport.give_back(self._origin, self._connection)

    def _read(self) -> Awaitable[bytes | None]:
        """Until the exchange is over: nobody reads on when the connection is another's."""
        if self._over:
            raise cut()
        return self._connection.read()


@lru_cache(maxsize=1024)  # an address of a provider and its headers: some ten of each, all from the configuration
def _head(url: str, headers: tuple[tuple[str, str], ...]) -> tuple[_Origin, bytes]:
    """Where to connect, and the head of the request up to its length. Raises ValueError."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    assert parts.hostname, url
    origin = _Origin(parts.hostname, parts.port or (443 if tls else 80), tls)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a line break in a header")
    start_line = f"POST {target} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n"
    return origin, f"{start_line}{lines}content-length: ".encode("latin-1")


def _request(head: bytes, body: bytes) -> bytes:
    return b"%b%d\r\n\r\n%b" % (head, len(body), body)

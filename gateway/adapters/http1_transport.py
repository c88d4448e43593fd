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
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from gateway.adapters.http1_connection import Http1Connection
from gateway.adapters.transport import Response, connect_timeout, refuse_encoding, unreachable

_MAX_IDLE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Origin:
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
        origin, start_line = _parse(url)
        return _Exchange(self, origin, _head(start_line, headers, len(body)) + body, connect_s)

    async def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    async def connection(self, origin: _Origin, connect_s: float) -> Http1Connection:
        """An idle one, or a new one. Raises UpstreamUnreachable and UpstreamTimeout."""
        return self._take(origin) or await self._connect(origin, connect_s)

    def _take(self, origin: _Origin) -> Http1Connection | None:
        idle = self._idle[origin]
        oldest_s = asyncio.get_running_loop().time() - _MAX_IDLE_S
        while idle:
            connection = idle.pop()
            if connection.open and connection.idle_since_s > oldest_s:
                return connection
            connection.abort()
        return None

    def give_back(self, origin: _Origin, connection: Http1Connection) -> None:
        if connection.reusable:
            connection.idle_since_s = asyncio.get_running_loop().time()
            self._idle[origin].append(connection)
        else:
            connection.abort()

    async def _connect(self, origin: _Origin, connect_s: float) -> Http1Connection:
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

    __slots__ = ("_body", "_connect_s", "_connection", "_origin", "_request", "_transport")

    def __init__(self, transport: Http1Transport, origin: _Origin, request: bytes, connect_s: float) -> None:
        self._transport = transport
        self._origin = origin
        self._request = request
        self._connect_s = connect_s

    async def __aenter__(self) -> Response:
        connection = self._connection = await self._transport.connection(self._origin, self._connect_s)
        try:
            connection.send(self._request)
            status, received = await connection.head()
            refuse_encoding(received)
        except BaseException:
            self._transport.give_back(self._origin, connection)
            raise
        self._body = _Body(connection)
        return Response(status, received, self._body)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._body.connection = None
        self._transport.give_back(self._origin, self._connection)


class _Body:
    """What arrives of a response, until its exchange is over: nobody reads on when the connection is another's."""

    __slots__ = ("connection",)

    def __init__(self, connection: Http1Connection) -> None:
        self.connection: Http1Connection | None = connection

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        part = await self.connection.read() if self.connection is not None else None
        if part is None:
            raise StopAsyncIteration
        return part


@lru_cache(maxsize=256)  # a provider has two or three addresses, all of them from the configuration
def _parse(url: str) -> tuple[_Origin, str]:
    """Where to connect, and the first two lines of the request."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    assert parts.hostname, url
    origin = _Origin(parts.hostname, parts.port or (443 if tls else 80), tls)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return origin, f"POST {target} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n"


def _head(start_line: str, headers: Mapping[str, str], content_length: int) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a line break in a header")
    return f"{start_line}{lines}content-length: {content_length}\r\n\r\n".encode("latin-1")

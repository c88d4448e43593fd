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
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
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

    @asynccontextmanager
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> AsyncIterator[Response]:
        origin, start_line = _parse(url)
        connection = self._take(origin) or await self._connect(origin, connect_s)
        try:
            connection.send(_head(start_line, headers, len(body)) + body)
            status, received = await connection.head()
            refuse_encoding(received)
            async with aclosing(_body(connection)) as incoming:  # nobody can read on when the connection is reused
                yield Response(status, received, incoming)
        finally:
            self._give_back(origin, connection)

    async def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _take(self, origin: _Origin) -> Http1Connection | None:
        idle = self._idle[origin]
        oldest_s = asyncio.get_running_loop().time() - _MAX_IDLE_S
        while idle:
            connection = idle.pop()
            if connection.open and connection.idle_since_s > oldest_s:
                return connection
            connection.abort()
        return None

    def _give_back(self, origin: _Origin, connection: Http1Connection) -> None:
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


async def _body(connection: Http1Connection) -> AsyncGenerator[bytes, None]:
    while (part := await connection.read()) is not None:
        yield part


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

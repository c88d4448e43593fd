"""One HTTP request and its response: no framework, no middleware, no copies."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.core.errors import InvalidRequest, RequestTooLarge, ThriftgateError, Unavailable, UnsupportedEncoding
from gateway.dialects.served.api import OPENAI, Api, bug, openai_failure
from gateway.http.departure import Departure, Loss

_MAX_DEPTH = 200
_WRITABLE_DEPTH = 254
_UNASKED_BYTES = 65_536
"""Of a body may come before anybody has asked for it."""
_WITHOUT_BODY = frozenset({204, 304})
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


class Wire(Protocol):
    """The connection that an exchange is on. `task` answers it; `is_full` while the client reads more slowly than is
    written."""

    loss: Loss
    task: asyncio.Task[None]
    is_full: bool

    async def more(self) -> None:
        """Reads on, and waits until something has come. Raises ClientLeft."""

    async def emptied(self) -> None:
        """Waits while it `is_full`."""

    def address(self, of: Literal["peername", "sockname"]) -> tuple[str, int]:
        """Of the client, or the server's own."""

    def server_lines(self) -> bytes:
        """The headers that every response has: the date."""

    def write(self, data: bytes) -> None:
        """At once; nothing to who has left."""

    def write_along(self, data: bytes) -> None:
        """With what is written next, if that is in this turn of the loop, else at its end."""


class Exchange:
    """Request in, response out. `target` is the path as it was sent, with its query. Every response carries the
    request's `id` and, once they are known, `limit_headers`; `api` says how its errors look.

    `take` and `is_whole` are the connection's. A request that says how long it is may be refused before it has come;
    `room_bytes` is how much of it may come before the client has to wait.
    """

    def __init__(
        self, wire: Wire, method: str, path: str, target: str, headers: Mapping[str, str], *, keep_alive: bool
    ) -> None:
        self.id = f"req_{os.urandom(16).hex()}"
        self.method = method
        self.path = path
        self.target = target
        self.headers = headers
        self.keep_alive = keep_alive
        self.api: Api = OPENAI
        self.limit_headers: Mapping[str, str] = {}
        self.is_whole = False
        self.room_bytes = _UNASKED_BYTES
        self.started = False
        self.ended = False
        self._wire = wire
        self._parts: list[bytes] = []
        self._come_bytes = 0

    def take(self, part: bytes) -> bool:
        """The next of the body; whether there is room for more."""
        if not self.ended:
            self._parts.append(part)
            self._come_bytes += len(part)
        return self.ended or self._come_bytes <= self.room_bytes

    async def body(self, max_bytes: int) -> bytes:
        """The whole body. Raises RequestTooLarge, UnsupportedEncoding, ClientLeft."""
        encoding = self.headers.get("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            raise UnsupportedEncoding("Send the body uncompressed, without `Content-Encoding`.")
        if not self.is_whole:
            await self._come(max_bytes)
        if self._come_bytes > max_bytes:
            raise _too_large(max_bytes)
        return b"".join(self._parts)

    async def json(self, max_bytes: int) -> Any:
        """The body as JSON (RFC 8259: no NaN, no trailing commas). Raises InvalidRequest too."""
        raw = await self.body(max_bytes)
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
        if raw.count(b"[") + raw.count(b"{") > _MAX_DEPTH and _is_too_deep(value):
            raise InvalidRequest(f"The body is nested more than {_MAX_DEPTH} levels deep.")
        return value

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole response."""
        if self._wire.is_full:
            await self._wire.emptied()
        self.started = self.ended = True
        framing = "" if status in _WITHOUT_BODY else f"content-length: {len(body)}"
        head = self._head(status, headers, framing)
        self._wire.write(head if self.method == "HEAD" else head + body)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """A response in pieces; not for HEAD."""
        if self._wire.is_full:
            await self._wire.emptied()
        self.started = True
        self._wire.write_along(self._head(status, headers, "transfer-encoding: chunked"))

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """The next piece, and with no `more` the end."""
        if self._wire.is_full:
            await self._wire.emptied()
        piece = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if not more:
            self.ended = True
            piece += b"0\r\n\r\n"
        self._wire.write(piece)

    async def fail(self, error: ThriftgateError) -> None:
        """An error as the API's JSON, with the headers both vendors' SDKs obey."""
        await self.respond(error.status, error_headers(error), orjson.dumps(self.api.failure(error, self.id)))

    async def crash(self) -> None:
        """A bug: an id and no internals."""
        body = orjson.dumps(self.api.failure(bug(), self.id))
        await self.respond(500, {"content-type": "application/json"}, body)

    def departure(self) -> Departure:
        """Watches for the client leaving, once the body has been read."""
        return Departure(self._wire.loss, self._wire.task)

    def address(self, of: Literal["peername", "sockname"]) -> tuple[str, int]:
        """Of the client, or the server's own."""
        return self._wire.address(of)

    async def _come(self, max_bytes: int) -> None:
        """Returns when all of the body is there, or more than is wanted. Raises RequestTooLarge, ClientLeft."""
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise _too_large(max_bytes)
        self.room_bytes = max_bytes
        if self.headers.get("expect", "").lower() == "100-continue":
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.is_whole and self._come_bytes <= max_bytes:
            await self._wire.more()

    def _head(self, status: int, headers: Mapping[str, str], framing: str) -> bytes:
        """Raises ValueError for what would make two headers of one."""
        lines = [f"x-request-id: {self.id}", *[f"{name}: {value}" for name, value in headers.items()]]
        if framing:
            lines.append(framing)
        if self.limit_headers:
            lines += [f"{name}: {value}" for name, value in self.limit_headers.items()]
        if self.api is not OPENAI:
            lines.append(f"{self.api.request_id_header}: {self.id}")
        if not self.keep_alive:
            lines.append("connection: close")
        if _CONTROL.search("".join(lines)):
            raise ValueError("a header that HTTP cannot carry")
        said = "\r\n".join(lines).encode("latin-1", "replace")
        return b"%b%b%b\r\n\r\n" % (STATUS_LINE[status], self._wire.server_lines(), said)


def error_headers(error: ThriftgateError) -> dict[str, str]:
    """`x-should-retry` is obeyed by OpenAI's and Anthropic's SDKs; `retry-after` is whole seconds, rounded up."""
    headers = {"content-type": "application/json", "x-should-retry": "true" if error.retryable else "false"}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(0, -int(-error.retry_after_s // 1)))
        headers["retry-after-ms"] = str(max(0, round(error.retry_after_s * 1000)))
    return headers


def stopping() -> Unavailable:
    """For who is still being answered when the server's patience at its stop is over."""
    return Unavailable("The gateway is stopping. Send the request again.", retry_after_s=1.0)


def crash_body() -> bytes:
    """What a client hears of a bug."""
    return error_body(bug())


def error_body(error: ThriftgateError) -> bytes:
    """OpenAI's JSON, for whatever is no API of a vendor."""
    return orjson.dumps(openai_failure(error))


def _is_too_deep(value: Any) -> bool:
    """orjson reads 1,024 levels and writes 254. What is read must be writable, and leave room for what wraps it."""
    for _ in range(_WRITABLE_DEPTH - _MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def _too_large(max_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {max_bytes} bytes (`server.max_body_bytes`).")

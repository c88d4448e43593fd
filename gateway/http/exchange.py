"""One HTTP request and its response on bare ASGI: no framework, no middleware, no copies."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any

import orjson

from gateway.core.errors import InvalidRequest, RequestTooLarge, ThriftgateError, Unavailable, UnsupportedEncoding
from gateway.dialects.served.api import OPENAI, Api, bug, openai_failure

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_MAX_DEPTH = 200
_WRITABLE_DEPTH = 254


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


class Exchange:
    """Request in, response out. Every response carries `x-request-id` and, once they are known, `limit_headers`; `api`
    says how its errors look."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.id = f"req_{secrets.token_hex(16)}"
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.api: Api = OPENAI
        self.limit_headers: Mapping[str, str] = {}
        self.started = False
        self._receive = receive
        self._send = send
        self._loss: Loss | None = (scope.get("extensions") or {}).get(LOSS)

    def declares_more_than(self, max_bytes: int) -> bool:
        """Whether the request says itself that its body is larger."""
        length = self.headers.get("content-length", "")
        return length.isdecimal() and int(length) > max_bytes

    async def body(self, max_bytes: int) -> bytes:
        """The whole body. Raises RequestTooLarge, UnsupportedEncoding, ClientLeft."""
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedEncoding("Send the body uncompressed, without `Content-Encoding`.")
        if self.declares_more_than(max_bytes):
            raise _too_large(max_bytes)
        parts: list[bytes] = []
        received = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            parts.append(message.get("body", b""))
            received += len(parts[-1])
            if received > max_bytes:
                raise _too_large(max_bytes)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def json(self, max_bytes: int) -> Any:
        """The body as JSON (RFC 8259: no NaN, no trailing commas). Raises InvalidRequest too."""
        raw = await self.body(max_bytes)
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
        if _is_too_deep(raw, value):
            raise InvalidRequest(f"The body is nested more than {_MAX_DEPTH} levels deep.")
        return value

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole response."""
        await self.start(status, {**headers, "content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        said = {**headers, **self.limit_headers}
        pairs = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in said.items()]
        pairs.append((b"x-request-id", self.id.encode()))
        if self.api is not OPENAI:
            pairs.append((self.api.request_id_header.encode(), self.id.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def fail(self, error: ThriftgateError) -> None:
        """An error as the API's JSON, with the headers both vendors' SDKs obey."""
        await self.respond(error.status, error_headers(error), orjson.dumps(self.api.failure(error, self.id)))

    async def crash(self) -> None:
        """A bug: an id and no internals."""
        body = orjson.dumps(self.api.failure(bug(), self.id))
        await self.respond(500, {"content-type": "application/json"}, body)

    def tagged(self, send: Send) -> Send:
        """For an application behind: its response carries the id as well."""

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            await send(message)

        return tagged

    def departure(self) -> Departure:
        """Watches for the client leaving, once the body has been read."""
        return Departure(self._receive, self._loss)


LOSS = "thriftgate.loss"
"""The name under which a server that can tell of it puts a connection's `Loss` into the scope's extensions."""


class Loss:
    """Of a connection. Whoever watches is called when it happens, or at once if it has; requests of one connection
    follow each other, so there is one watcher at most."""

    __slots__ = ("_call", "_happened")

    def __init__(self) -> None:
        self._happened = False
        self._call: Callable[[], None] | None = None

    def watch(self, call: Callable[[], None] | None) -> None:
        """None: nobody watches any longer."""
        self._call = call
        if self._happened and call is not None:
            call()

    def happen(self) -> None:
        self._happened = True
        if self._call is not None:
            self._call()


class Departure:
    """Cancels the task inside `async with` when the client leaves, and swallows that one cancellation.

    ASGI tells of a disconnect only to whoever receives, and uvicorn lets the task run on: without this, an upstream
    would go on producing tokens for nobody (litellm #13774). Disarm before the last byte is sent: from then on the
    server reports a disconnect for every finished response. Where the server tells of a `loss` by itself, nobody has
    to wait for it.
    """

    def __init__(self, receive: Receive, loss: Loss | None = None) -> None:
        self._receive = receive
        self._loss = loss
        self._watch: asyncio.Task[None] | None = None
        self.left = False
        self._needed: Callable[[], bool] | None = None

    async def __aenter__(self) -> Departure:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        if self._loss is not None:
            self._loss.watch(self._leave)
        else:
            self._watch = asyncio.ensure_future(self._wait())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.disarm()
        if not self.left:
            return False
        others = self._task.uncancel() > self._cancelling  # a shutdown that cancels too must get through
        return kind is asyncio.CancelledError and not others

    def hold(self, needed: Callable[[], bool]) -> None:
        """As `flow.shared_flight.Client`."""
        self._needed = needed

    def disarm(self) -> None:
        if self._loss is not None:
            self._loss.watch(None)
        if self._watch is not None:
            self._watch.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        self.left = True
        if self._needed is None or not self._needed():
            self._task.cancel()


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


def _is_too_deep(raw: bytes, value: Any) -> bool:
    """orjson reads 1,024 levels and writes 254. What is read must be writable, and leave room for what wraps it."""
    if raw.count(b"[") + raw.count(b"{") <= _MAX_DEPTH:
        return False
    for _ in range(_WRITABLE_DEPTH - _MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def _too_large(max_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {max_bytes} bytes (`server.max_body_bytes`).")

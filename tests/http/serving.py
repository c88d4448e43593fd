"""What answers exchanges, or any ASGI application, on a real uvicorn and a real socket, and a client that says exactly
what it is told to."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import isfunction
from typing import Any, Literal

import uvicorn

from gateway.http.connection import Connection
from gateway.http.exchange import Exchange


@dataclass(frozen=True)
class Reply:
    """One response, as it came over the wire, with its body put together."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of OpenAI's shape, whose four keys are all there."""
        error: dict[str, Any] = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


@dataclass(frozen=True)
class Listening:
    """Where an application listens."""

    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, raw: bytes) -> bytes:
        """Send these bytes and read until the server closes the connection."""
        reader, writer = await self.connect()
        try:
            writer.write(raw)
            return await reader.read()
        finally:
            writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"", *headers: str) -> Reply:
        """One request with a declared length."""
        return reply(await self.say(request(method, path, body, *headers)))


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: test", "connection: close", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reply(raw: bytes) -> Reply:
    """Parse the one response in `raw`."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert len(headers) == len(lines), "a header is there twice"
    if headers.get("transfer-encoding") == "chunked":
        body = _unchunked(body)
    return Reply(int(status_line.split(" ")[1]), headers, body)


def _unchunked(raw: bytes) -> bytes:
    size, _, rest = raw.partition(b"\r\n")
    length = int(size, 16)
    return rest[:length] + _unchunked(rest[length + 2 :]) if length else b""


class Answering:
    """An application without a lifespan, whose answers are one function's."""

    def __init__(self, answer: Callable[[Exchange], Awaitable[None]]) -> None:
        self.answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("requests come through `answer`")


@asynccontextmanager
async def serving(
    app: Any, lifespan: Literal["on", "off"] = "off", http: type[asyncio.Protocol] = Connection
) -> AsyncIterator[Listening]:
    """The server's settings are those of `thriftgate serve`. An `app` that is a function answers exchanges, or with
    uvicorn's own `http` is an ASGI application."""
    if isfunction(app) and issubclass(http, Connection):
        app = Answering(app)
    config = uvicorn.Config(
        app, http=http, ws="none", loop="none", lifespan=lifespan, access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            yield Listening(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await running

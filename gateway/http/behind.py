"""An ASGI application behind the hot routes: it sees an exchange as ASGI has it, and is heard when it has said all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httptools

from gateway.core.errors import RequestTooLarge
from gateway.http.exchange import Exchange

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BEHIND_BYTES = 16 * 1024
"""Of a request's body, where nobody has much to say."""


async def answer_behind(app: Asgi, exchange: Exchange) -> None:
    """Small requests and whole responses: nothing behind streams. Raises RequestTooLarge, UnsupportedEncoding and
    ClientLeft before the application has heard of the request, and what the application raises."""
    try:
        body = await exchange.body(MAX_BEHIND_BYTES)
    except RequestTooLarge:
        raise RequestTooLarge(f"{exchange.path} takes at most {MAX_BEHIND_BYTES} bytes.") from None
    said = Said(exchange)
    heard: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not heard:
            await asyncio.get_running_loop().create_future()  # for a disconnect, which ends nothing here
        return heard.pop()

    await app(_scope(exchange), receive, said.send)


class Said:
    """What an application sends, until it is whole."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._status = 500
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ()))
            self._headers = {name: value for name, value in pairs if name != "content-length"}
            return
        self._parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self._exchange.respond(self._status, self._headers, b"".join(self._parts))


def _scope(exchange: Exchange) -> Scope:
    url = httptools.parse_url(exchange.target.encode("latin-1"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": exchange.method,
        "scheme": "http",
        "path": exchange.path,
        "raw_path": url.path,
        "query_string": url.query or b"",
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in exchange.headers.items()],
        "client": exchange.address("peername"),
        "server": exchange.address("sockname"),
    }

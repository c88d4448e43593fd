"""HTTP/1.1 as our connection speaks it, held beside uvicorn's own: the same bytes, in fewer writes."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.connection import Connection
from gateway.http.exchange import Exchange, Receive, Scope, Send
from tests.http.serving import Listening, reply, request, serving

OURS_OR_UVICORNS = pytest.mark.parametrize("http", [Connection, HttpToolsProtocol], ids=["ours", "uvicorn's"])


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says back what it was told: whole, or in pieces under /pieces, or with the status that stands in the path."""
    exchange = Exchange(scope, receive, send)
    exchange.id = "req_x"
    body = await exchange.body(1 << 24)
    if exchange.path == "/pieces":
        await exchange.start(200, {"x-one": "1"})
        for piece in (body[:2], b"", body[2:]):
            await exchange.write(piece)
        await exchange.write(b"", more=False)
    elif exchange.path == "/too short":
        await exchange.start(200, {"content-length": "9"})
        await exchange.write(body, more=False)
    elif exchange.path[1:].isdecimal():
        await exchange.start(int(exchange.path[1:]), {})
        await exchange.write(b"", more=False)
    else:
        await exchange.respond(200, {"x-path": exchange.path}, body)


def without_date(raw: bytes) -> bytes:
    return re.sub(rb"date: [^\r]+\r\n", b"", raw)


@pytest.mark.parametrize(
    "raw",
    [
        request("POST", "/v1/a%20b?x=%20", b"hello"),
        request("POST", "/pieces", b"hello"),
        request("HEAD", "/"),
        request("HEAD", "/pieces"),
        request("GET", "/204"),
        request("GET", "/304"),
        request("GET", "/too%20short"),
        b"POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\nhi",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" + request("GET", "/"),
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"
        + b"POST /pieces HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\ntwo"
        + request("GET", "/"),
        b"POST / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade, close\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=[
        "whole",
        "pieces",
        "head",
        "head-in-pieces",
        "no-content",
        "not-modified",
        "too-short",
        "http-1.0",
        "chunked-then-another",
        "pipelined",
        "upgrade",
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True], ids=["at-once", "byte-by-byte"])
async def test_what_is_said_is_what_uvicorn_says(raw: bytes, one_by_one: bool) -> None:
    said = []
    for http in (Connection, HttpToolsProtocol):
        async with serving(app, http=http) as listening:
            reader, writer = await listening.connect()
            for part in (raw[at : at + 1] for at in range(len(raw))) if one_by_one else (raw,):
                if not writer.is_closing():  # by a server that has heard enough
                    writer.write(part)
                await asyncio.sleep(0)
            said.append(without_date(await reader.read()))
            writer.close()
    ours, uvicorns = said
    assert ours == uvicorns


class Told:
    """A transport, and what is written to it."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_what_is_sent_in_one_turn_of_the_loop_is_one_write() -> None:
    writes: list[bytes] = []

    class Seen(Connection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(cast(asyncio.Transport, Told(transport, writes)))

    async with serving(app, http=Seen) as listening:
        await listening.ask("POST", "/", b"hello")
        await listening.ask("POST", "/pieces", b"hello")
    assert [write.partition(b"\r\n\r\n")[2] for write in writes] == [b"hello", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"]


@OURS_OR_UVICORNS
async def test_a_piece_does_not_wait_for_the_next(http: type[HttpToolsProtocol]) -> None:
    heard = asyncio.Event()

    async def talking(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        await exchange.start(200, {})
        await exchange.write(b"one")
        await heard.wait()
        await exchange.write(b"two", more=False)

    async with serving(talking, http=http) as listening:
        reader, writer = await listening.connect()
        writer.write(request("GET", "/"))
        assert b"one" in await reader.readuntil(b"one\r\n")
        heard.set()
        assert await reader.read() == b"3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


@OURS_OR_UVICORNS
async def test_who_waits_to_be_asked_for_the_body_is_asked(http: type[HttpToolsProtocol]) -> None:
    async with serving(app, http=http) as listening:
        reader, writer = await listening.connect()
        writer.write(request("POST", "/", b"", "expect: 100-continue").replace(b"length: 0", b"length: 2"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert reply(await reader.read()).body == b"hi"
        writer.close()


async def test_a_header_that_would_become_two_is_a_bug_and_not_sent() -> None:
    async def splitting(scope: Scope, receive: Receive, send: Send) -> None:
        await Exchange(scope, receive, send).respond(200, {"x-one": "1\r\nx-two: 2"}, b"")

    async with serving(splitting) as listening:
        assert b"x-two" not in await listening.say(request("GET", "/"))


class Hasty(Connection):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.timeout_keep_alive = 0.05  # type: ignore[assignment]  # uvicorn has whole seconds


async def test_an_idle_connection_is_closed_and_one_with_a_request_is_not() -> None:
    go_on = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await go_on.wait()
        await app(scope, receive, send)

    async with serving(waiting, http=Hasty) as listening:
        slow_reader, slow = await answered(listening)
        slow.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        idle_reader, idle = await answered(listening)
        assert await idle_reader.read() == b"", "the server closes it"
        await asyncio.sleep(0.1)  # the slow one has had its time too
        go_on.set()
        assert (await slow_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await slow_reader.read() == b"", "it is idle now"
        idle.close()
        slow.close()


async def answered(listening: Listening) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has had one answer and may be used again."""
    reader, writer = await listening.connect()
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"content-length: 0" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@OURS_OR_UVICORNS
async def test_who_reads_slowly_holds_the_answer_back(http: type[HttpToolsProtocol]) -> None:
    written = 0

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written
        exchange = Exchange(scope, receive, send)
        await exchange.start(200, {})
        for _ in range(64):
            await exchange.write(bytes(1 << 20))
            written += 1
        await exchange.write(b"", more=False)

    async with serving(flood, http=http) as listening:
        reader, writer = await listening.connect()
        writer.write(request("GET", "/"))
        await reader.readexactly(1 << 10)
        assert written < 64
        assert (1 << 10) + len(await reader.read()) > 64 << 20
        writer.close()

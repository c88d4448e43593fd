"""HTTP/1.1 as our connection speaks it, held beside uvicorn's own: the same responses, in fewer writes."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.core.errors import RequestTooLarge
from gateway.http.behind import Receive, Scope, Send
from gateway.http.connection import Connection
from gateway.http.exchange import Exchange
from tests.http.serving import Listening, reply, request, serving


async def app(exchange: Exchange) -> None:
    """Says back what it was told: whole, or in pieces under /pieces, or with the status that stands in the path."""
    exchange.id = "req_x"
    body = await exchange.body(1 << 24)
    if exchange.path == "/pieces":
        await exchange.start(200, {"x-one": "1"})
        for piece in (body[:2], b"", body[2:]):
            await exchange.write(piece)
        await exchange.write(b"", more=False)
    elif exchange.path[1:].isdecimal():
        await exchange.respond(int(exchange.path[1:]), {}, b"")
    else:
        await exchange.respond(200, {"x-path": exchange.path}, body)


async def the_same_in_asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """For uvicorn's own protocol."""

    async def start(status: int, *headers: tuple[bytes, bytes]) -> None:
        await send(
            {"type": "http.response.start", "status": status, "headers": [*headers, (b"x-request-id", b"req_x")]}
        )

    async def say(body: bytes, *, more: bool = False) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": more})

    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    path = scope["path"]
    if path == "/pieces":
        await start(200, (b"x-one", b"1"))
        for piece in (body[:2], b"", body[2:]):
            await say(piece, more=True)
    elif path[1:].isdecimal():
        await start(int(path[1:]))
        body = b""
    else:
        await start(200, (b"x-path", path.encode()), (b"content-length", b"%d" % len(body)))
    await say(b"" if path == "/pieces" else body)


def responses(raw: bytes) -> list[tuple[bytes, list[bytes], bytes]]:
    """Status, headers in any order without the date, and body as it was framed."""
    found = []
    for response in raw.split(b"HTTP/1.1 ")[1:]:
        head, _, body = response.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        found.append((status, sorted(line for line in lines if not line.startswith(b"date: ")), body))
    return found


@pytest.mark.parametrize(
    "raw",
    [
        request("POST", "/v1/a%20b?x=%20", b"hello"),
        request("POST", "/pieces", b"hello"),
        request("HEAD", "/"),
        request("GET", "/204"),
        request("GET", "/304"),
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
        "no-content",
        "not-modified",
        "http-1.0",
        "chunked-then-another",
        "pipelined",
        "upgrade",
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True], ids=["at-once", "byte-by-byte"])
async def test_what_is_said_is_what_uvicorn_says(raw: bytes, one_by_one: bool) -> None:
    said = []
    for http, answers in ((Connection, app), (HttpToolsProtocol, the_same_in_asgi)):
        async with serving(answers, http=http) as listening:
            reader, writer = await listening.connect()
            for part in (raw[at : at + 1] for at in range(len(raw))) if one_by_one else (raw,):
                if not writer.is_closing():  # by a server that has heard enough
                    writer.write(part)
                await asyncio.sleep(0)
            said.append(responses(await reader.read()))
            writer.close()
    ours, uvicorns = said
    assert ours == uvicorns != []


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


async def test_a_head_and_the_first_piece_are_one_write() -> None:
    writes: list[bytes] = []

    class Seen(Connection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(cast(asyncio.Transport, Told(transport, writes)))

    async with serving(app, http=Seen) as listening:
        await listening.ask("POST", "/", b"hello")
        await listening.ask("POST", "/pieces", b"hello")
    assert [write.rpartition(b"\r\n\r\n")[2] for write in writes] == [b"hello", b"2\r\nhe\r\n", b"3\r\nllo\r\n", b""]


async def test_a_piece_does_not_wait_for_the_next() -> None:
    heard = asyncio.Event()

    async def talking(exchange: Exchange) -> None:
        await exchange.start(200, {})
        await exchange.write(b"one")
        await heard.wait()
        await exchange.write(b"two", more=False)

    async with serving(talking) as listening:
        reader, writer = await listening.connect()
        writer.write(request("GET", "/"))
        assert b"one" in await reader.readuntil(b"one\r\n")
        heard.set()
        assert await reader.read() == b"3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


async def test_who_waits_to_be_asked_for_the_body_is_asked() -> None:
    async with serving(app) as listening:
        reader, writer = await listening.connect()
        writer.write(request("POST", "/", b"", "expect: 100-continue").replace(b"length: 0", b"length: 2"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert reply(await reader.read()).body == b"hi"
        writer.close()


async def test_a_header_that_would_become_two_is_a_bug_and_not_sent() -> None:
    async def splitting(exchange: Exchange) -> None:
        await exchange.respond(200, {"x-one": "1\r\nx-two: 2"}, b"")

    async with serving(splitting) as listening:
        assert b"x-two" not in await listening.say(request("GET", "/"))


async def test_what_comes_behind_a_chunked_body_is_not_a_header_of_the_next_request() -> None:
    seen: list[Mapping[str, str]] = []

    async def noting(exchange: Exchange) -> None:
        await exchange.body(100)
        seen.append(exchange.headers)
        await exchange.respond(200, {}, b"")

    chunked = b"POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nauthorization: Bearer x\r\n\r\n"
    async with serving(noting) as listening:
        await listening.say(chunked + request("GET", "/"))
    assert seen == [
        {"host": "x", "transfer-encoding": "chunked"},
        {"host": "test", "connection": "close", "content-length": "0"},
    ]


async def test_what_is_refused_is_read_to_its_end_and_the_next_request_is_answered() -> None:
    async def refusing(exchange: Exchange) -> None:
        with suppress(RequestTooLarge):
            await exchange.body(1_000)
        await exchange.respond(200, {}, exchange.path.encode())

    async with serving(refusing) as listening:
        raw = await listening.say(
            b"POST /large HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
            + bytes(1_000_000)
            + request("GET", "/next")
        )
    assert [body for _, _, body in responses(raw)] == [b"/large", b"/next"]


async def test_a_large_body_that_nobody_has_asked_for_yet_is_not_read() -> None:
    ask = asyncio.Event()

    async def asking_late(exchange: Exchange) -> None:
        await ask.wait()
        await exchange.respond(200, {}, b"%d" % len(await exchange.body(1 << 30)))

    async with serving(asking_late) as listening:
        reader, writer = await listening.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (64 << 20))
        writing = asyncio.ensure_future(pieces(writer, 64))
        _, waiting = await asyncio.wait({writing}, timeout=0.2)
        assert waiting, "the client is held back"
        ask.set()
        await writing
        assert await reader.readuntil(b"67108864")
        writer.close()


async def pieces(writer: asyncio.StreamWriter, count: int) -> None:
    for _ in range(count):
        writer.write(bytes(1 << 20))
        await writer.drain()


async def test_an_idle_connection_keeps_no_request() -> None:
    kept: list[weakref.ref[Exchange]] = []

    async def remembering(exchange: Exchange) -> None:
        kept.append(weakref.ref(exchange))
        await exchange.respond(200, {}, b"")

    async with serving(remembering) as listening:
        _, writer = await answered(listening)
        await asyncio.sleep(0)
        assert [each() for each in kept] == [None]
        writer.close()


async def test_an_answer_that_breaks_off_ends_the_connection() -> None:
    async def breaking(exchange: Exchange) -> None:
        await exchange.start(200, {})
        await exchange.write(b"one")
        raise RuntimeError("a bug")

    async with serving(breaking) as listening:
        raw = await listening.say(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert raw.endswith(b"\r\n\r\n3\r\none\r\n")


class Hasty(Connection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._keep_alive_s = 0.05  # uvicorn's setting has whole seconds


async def test_an_idle_connection_is_closed_and_one_with_a_request_is_not() -> None:
    go_on = asyncio.Event()

    async def waiting(exchange: Exchange) -> None:
        if exchange.path == "/slow":
            await go_on.wait()
        await app(exchange)

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


async def test_who_reads_slowly_holds_the_answer_back() -> None:
    written = 0

    async def flood(exchange: Exchange) -> None:
        nonlocal written
        await exchange.start(200, {})
        for _ in range(64):
            await exchange.write(bytes(1 << 20))
            written += 1
        await exchange.write(b"", more=False)

    async with serving(flood) as listening:
        reader, writer = await listening.connect()
        writer.write(request("GET", "/"))
        await reader.readexactly(1 << 10)
        assert written < 64
        assert (1 << 10) + len(await reader.read()) > 64 << 20
        writer.close()

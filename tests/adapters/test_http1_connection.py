"""What a provider may put on the wire, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.adapters.http1_transport import Http1Transport
from gateway.adapters.transport import read_whole
from gateway.core.errors import UpstreamCut, UpstreamMalformed

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Wire:
    """Answers each request with the next bytes, one at a time or all at once, and closes where it is told to."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.close_after = False
        self.one_by_one = False
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError):  # the client hung up on what it was sent
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.answers and (request := await reader.read(65536)):
            self.requests.append(request)
            answer = self.answers.pop(0)
            for part in (answer[i : i + 1] for i in range(len(answer))) if self.one_by_one else (answer,):
                writer.write(part)
                await writer.drain()
            if self.close_after:
                break
        if not self.close_after:
            await reader.read()


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[Wire, Callable[[], Awaitable[bytes]]]]:
    wire, transport = Wire(), Http1Transport()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat?x=1"

    async def post() -> bytes:
        async with transport.post(wire.url, {"x-one": "1"}, b"{}", 2) as response:
            return await read_whole(response)

    try:
        yield wire, post
    finally:
        await transport.close()
        server.close()


async def test_the_request_is_what_the_rfc_wants() -> None:
    async with wired() as (wire, post):
        wire.answers = [OK]
        assert await post() == b"hi"
        host = wire.url.split("/")[2].encode()
    assert wire.requests == [
        b"POST /v1/chat?x=1 HTTP/1.1\r\nhost: " + host + b"\r\nx-one: 1\r\ncontent-length: 2\r\n\r\n{}"
    ]


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nx-trailer: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
    ],
    ids=["length", "chunks-and-trailer", "interim-answers"],
)
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_whole_answer_leaves_a_connection_to_reuse(answer: bytes, one_by_one: bool) -> None:
    async with wired() as (wire, post):
        wire.answers, wire.one_by_one = [answer, OK], one_by_one
        assert [await post(), await post()] == [b"hi", b"hi"]
        assert wire.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret",
        OK + b"stray",
    ],
    ids=["close", "http-1.0", "a-second-answer", "stray-bytes"],
)
async def test_a_connection_that_cannot_be_trusted_is_not_reused(answer: bytes) -> None:
    async with wired() as (wire, post):
        wire.answers = [answer]
        assert await post() == b"hi"
        wire.answers = [OK]
        assert await post() == b"hi"
        assert wire.connections == 2


async def test_without_a_length_the_body_ends_with_the_connection() -> None:
    async with wired() as (wire, post):
        wire.answers, wire.close_after = [b"HTTP/1.1 200 OK\r\n\r\nhi"], True
        assert await post() == b"hi"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["length", "chunks", "head", "interim"],
)
async def test_an_early_end_is_a_cut(answer: bytes) -> None:
    async with wired() as (wire, post):
        wire.answers, wire.close_after = [answer], True
        with pytest.raises(UpstreamCut):
            await post()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 400_000,
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhi",
    ],
    ids=["two-lengths", "bad-chunk", "endless-head", "upgrade"],
)
async def test_what_is_not_an_answer_is_malformed(answer: bytes) -> None:
    async with wired() as (wire, post):
        wire.answers = [answer]
        with pytest.raises(UpstreamMalformed):
            await post()


@pytest.mark.parametrize("value", ["1\r\nhost: trap", "1\n", "1\r"])
async def test_a_line_break_in_a_header_is_never_sent(value: str) -> None:
    async with wired() as (wire, _):
        with pytest.raises(ValueError, match="line break"):
            async with Http1Transport().post(wire.url, {"x": value}, b"{}", 2):
                pass
    assert not wire.requests


async def test_a_reader_that_is_slow_holds_the_provider_back() -> None:
    async with wired() as (wire, _):
        body = bytes(32 << 20)
        wire.answers = [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body]
        transport = Http1Transport()
        async with transport.post(wire.url, {}, b"{}", 2) as response:
            first = await response.read() or b""
            assert len(first) < 2 << 20
            assert len(first) + len(await read_whole(response, 64 << 20)) == len(body)
        await transport.close()

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from gateway.core.budget import Budget
from gateway.core.errors import BudgetExceeded, InvalidRequest, ThriftgateError, UpstreamOverloaded
from gateway.core.window import WindowRule
from gateway.http.exchange import ClientLeft, Exchange, error_headers
from tests.http.serving import Listening, Reply, reply, serving

MAX_BYTES = 4_096


async def echo(exchange: Exchange) -> None:
    """Answers with the JSON it was sent."""
    try:
        value = await exchange.json(MAX_BYTES)
    except ThriftgateError as error:
        await exchange.fail(error)
    else:
        await exchange.respond(200, {"content-type": "application/json"}, orjson.dumps(value))


@pytest.fixture
async def echoing() -> AsyncIterator[Listening]:
    async with serving(echo) as listening:
        yield listening


def chunked(*parts: bytes) -> bytes:
    head = b"POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


# bodies


async def test_a_body_comes_whole_however_it_is_cut(echoing: Listening) -> None:
    body = b'{"a": [1, 2.5, null, "\xc3\xa9"]}'
    assert (await echoing.ask("POST", "/", body)).json() == {"a": [1, 2.5, None, "é"]}
    one_byte_each = [bytes([byte]) for byte in body]
    assert reply(await echoing.say(chunked(*one_byte_each))).json() == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES])
async def test_the_largest_body_is_taken(echoing: Listening, size: int) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'
    assert (await echoing.ask("POST", "/", body)).status == 200
    assert reply(await echoing.say(chunked(body[:100], body[100:]))).status == 200


def assert_too_large(answer: Reply) -> None:
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"
    assert str(MAX_BYTES) in answer.error["message"]


async def test_a_body_declared_too_large_is_refused_before_it_is_read(echoing: Listening) -> None:
    head = b"POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 999999999\r\n\r\n"
    assert_too_large(reply(await echoing.say(head)))


async def test_a_body_that_grows_too_large_is_refused_as_soon_as_it_has(echoing: Listening) -> None:
    endless = chunked(b"x" * MAX_BYTES, b"x")[: -len(b"0\r\n\r\n")]
    assert_too_large(reply(await echoing.say(endless)))


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
async def test_a_compressed_body_is_refused(echoing: Listening, encoding: str) -> None:
    answer = await echoing.ask("POST", "/", b"{}", f"content-encoding: {encoding}")
    assert answer.status == 415
    assert answer.error["code"] == "unsupported_encoding"


async def test_saying_that_a_body_is_not_compressed_is_fine(echoing: Listening) -> None:
    assert (await echoing.ask("POST", "/", b"{}", "content-encoding: Identity")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1,}',
        b"{'a': 1}",
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b"[1] [2]",
        b"\xef\xbb\xbf{}",
        b"model=auto",
        b"[" * 2_000,
        b"[" * 1_100 + b"]" * 1_100,
        b"[" * 900 + b"]" * 900,
        b'{"a":' * 201 + b"1" + b"}" * 201,
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
async def test_what_is_no_json_is_a_400_in_openais_shape(echoing: Listening, body: bytes) -> None:
    answer = await echoing.ask("POST", "/", body)
    assert answer.status == 400
    assert (answer.error["type"], answer.error["param"]) == ("invalid_request_error", None)
    assert "Traceback" not in answer.error["message"]


async def test_two_hundred_levels_are_enough(echoing: Listening) -> None:
    assert (await echoing.ask("POST", "/", b"[" * 200 + b"]" * 200)).status == 200


async def test_many_brackets_are_not_many_levels(echoing: Listening) -> None:
    assert (await echoing.ask("POST", "/", b"[" + b"[]," * 1_000 + b"{}]")).status == 200


async def test_a_client_that_leaves_while_it_sends_is_told_apart_from_a_short_body() -> None:
    told: asyncio.Future[type[BaseException]] = asyncio.get_running_loop().create_future()

    async def app(exchange: Exchange) -> None:
        try:
            await exchange.body(MAX_BYTES)
        except ClientLeft as left:
            told.set_result(type(left))

    async with serving(app) as listening:
        _, writer = await listening.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        assert await told is ClientLeft


# responses


async def test_every_response_has_an_id_of_its_own(echoing: Listening) -> None:
    answers = [await echoing.ask("POST", "/", body) for body in (b"{}", b"{}", b"{")]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(request_id.startswith("req_") for request_id in ids)


def spent(retry_after_s: float) -> BudgetExceeded:
    return BudgetExceeded("x", budget=Budget("shop", WindowRule("day")), kind="tokens", retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (InvalidRequest("x"), {"x-should-retry": "false"}),
        (UpstreamOverloaded("x"), {"x-should-retry": "true"}),
        (UpstreamOverloaded("x", retry_after_s=1.2), {"retry-after": "2", "retry-after-ms": "1200"}),
        (spent(60.0), {"retry-after": "60", "x-should-retry": "false"}),
        (spent(-1.0), {"retry-after": "0", "retry-after-ms": "0"}),
    ],
)
def test_headers_say_whether_and_when_to_come_back(error: ThriftgateError, headers: dict[str, str]) -> None:
    assert headers.items() <= error_headers(error).items()


async def test_a_header_that_latin_1_cannot_say_breaks_nothing() -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.respond(200, {"x-thriftgate-route-reason": "5 → 7"}, b"")

    async with serving(app) as listening:
        assert (await listening.ask("GET", "/")).headers["x-thriftgate-route-reason"] == "5 ? 7"

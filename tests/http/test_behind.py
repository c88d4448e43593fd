from __future__ import annotations

import asyncio

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.core.errors import ThriftgateError
from gateway.http.behind import MAX_BEHIND_BYTES, Receive, Scope, Send, answer_behind
from gateway.http.exchange import Exchange
from tests.http.serving import reply, request, serving


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what it was told, in two pieces."""
    seen = {key: scope[key] for key in ("type", "method", "path", "raw_path", "query_string", "scheme", "headers")}
    headers = [(b"content-type", b"text/plain"), (b"x-client", scope["client"][0].encode())]
    await send({"type": "http.response.start", "status": 418, "headers": headers})
    await send({"type": "http.response.body", "body": repr(seen).encode(), "more_body": True})
    await send({"type": "http.response.body", "body": (await receive())["body"]})


async def behind(exchange: Exchange) -> None:
    try:
        await answer_behind(telling, exchange)
    except ThriftgateError as error:
        await exchange.fail(error)


@pytest.mark.parametrize(
    "raw",
    [
        request("POST", "/v1/a%20b?x=%20&y", b"hello", "X-One: 1"),
        request("HEAD", "/"),
        b"GET http://test/a?b#c HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ],
    ids=["query", "head", "absolute", "chunked"],
)
async def test_an_application_sees_and_is_heard_as_under_uvicorn(raw: bytes) -> None:
    async with serving(behind) as listening:
        ours = reply(await listening.say(raw))
    async with serving(telling, http=HttpToolsProtocol) as listening:
        uvicorns = reply(await listening.say(raw))
    assert (ours.status, ours.body) == (uvicorns.status, uvicorns.body)
    framing = {"date", "content-length", "transfer-encoding", "x-request-id"}
    ours_said, uvicorns_said = (
        {key: said.headers[key] for key in said.headers.keys() - framing} for said in (ours, uvicorns)
    )
    assert ours_said == uvicorns_said
    assert ours.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("size", [MAX_BEHIND_BYTES, MAX_BEHIND_BYTES + 1])
async def test_only_a_small_request_gets_there(size: int) -> None:
    chunked = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size))
    status = 418 if size == MAX_BEHIND_BYTES else 413
    async with serving(behind) as listening:
        assert (await listening.ask("POST", "/", bytes(size))).status == status
        assert reply(await listening.say(chunked)).status == status


async def test_who_listens_for_a_disconnect_hears_nothing_until_it_has_answered() -> None:
    async def listening_too(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        disconnect = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0)
        assert not disconnect.done()
        disconnect.cancel()
        await send({"type": "http.response.body", "body": b"done"})

    async with serving(lambda exchange: answer_behind(listening_too, exchange)) as listening:
        assert (await listening.ask("GET", "/")).body == b"done"

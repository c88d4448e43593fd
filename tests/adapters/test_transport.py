"""One contract, two transports."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.adapters.http1_transport import Http1Transport
from gateway.adapters.httpx_transport import HttpxTransport
from gateway.adapters.transport import Transport, read_whole
from gateway.core.errors import UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from tests import loopback
from tests.loopback import Upstream

BODY: dict[str, Any] = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "one two three"}]}
WHOLE = json.dumps(BODY).encode()
STREAM = json.dumps({**BODY, "stream": True}).encode()


@pytest.fixture(params=[Http1Transport, HttpxTransport])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    made: Transport = request.param()
    yield made
    await made.close()


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: nobody answers a SYN there."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for one in waiting:
            one.close()


def headers(upstream: Upstream) -> dict[str, str]:
    return {**upstream.flavour.credentials(), "accept-encoding": "identity"}


async def post(transport: Transport, upstream: Upstream, body: bytes = WHOLE) -> bytes:
    async with transport.post(f"{upstream.base_url}/chat/completions", headers(upstream), body, 2) as response:
        return await read_whole(response)


async def test_status_headers_and_body_arrive(transport: Transport, openai_upstream: Upstream) -> None:
    url = f"{openai_upstream.base_url}/chat/completions"
    async with transport.post(url, headers(openai_upstream), WHOLE, 2) as response:
        body = json.loads(await read_whole(response))
    assert response.status == 200
    assert response.headers["x-request-id"] == "req_1"
    assert body["choices"][0]["message"]["content"] == "You said: one two three"
    assert openai_upstream.requests[0].raw == WHOLE


async def test_a_header_that_comes_twice_is_joined(transport: Transport, openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Respond(200, b"", {"X-One": "1", "x-one": "2"}))
    url = f"{openai_upstream.base_url}/chat/completions"
    async with transport.post(url, headers(openai_upstream), WHOLE, 2) as response:
        assert response.headers["x-one"] == "1, 2"


async def test_connections_are_reused_after_whole_bodies(transport: Transport, openai_upstream: Upstream) -> None:
    for body in (WHOLE, STREAM, WHOLE):
        await post(transport, openai_upstream, body)
    assert openai_upstream.connections == 1


async def test_a_connection_the_provider_closed_is_not_used_again(
    transport: Transport, openai_upstream: Upstream
) -> None:
    await post(transport, openai_upstream)
    openai_upstream.script(loopback.Unfinished(), loopback.HangUp())
    await post(transport, openai_upstream)
    with pytest.raises(UpstreamCut):
        await post(transport, openai_upstream)
    await post(transport, openai_upstream)
    assert openai_upstream.connections == 2


async def test_stream_bytes_are_not_held_back(transport: Transport, openai_upstream: Upstream) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.script(loopback.Gated(ticks))
    url = f"{openai_upstream.base_url}/chat/completions"
    async with transport.post(url, headers(openai_upstream), STREAM, 2) as response:
        seen = b""
        for word in (b"You", b" said:", b" one"):
            ticks.release()
            while word not in seen:
                seen += await response.read() or b""
        assert openai_upstream.requests[0].produced_tokens == 3


async def test_leaving_in_the_middle_of_a_body_closes_the_connection(
    transport: Transport, openai_upstream: Upstream
) -> None:
    openai_upstream.script(loopback.Stall(after_tokens=1))
    url = f"{openai_upstream.base_url}/chat/completions"
    async with transport.post(url, headers(openai_upstream), STREAM, 2) as response:
        await response.read()
    await asyncio.wait_for(openai_upstream.requests[0].disconnected.wait(), 2)


@pytest.mark.parametrize("body", [WHOLE, STREAM], ids=["whole", "stream"])
async def test_being_cancelled_before_the_head_closes_the_connection(
    transport: Transport, openai_upstream: Upstream, body: bytes
) -> None:
    openai_upstream.script(loopback.Silence())
    posting = asyncio.ensure_future(post(transport, openai_upstream, body))
    request = await openai_upstream.arrival()
    posting.cancel()
    await asyncio.wait_for(request.disconnected.wait(), 2)


@pytest.mark.parametrize("body", [WHOLE, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "step",
    [loopback.Cut(2), loopback.Cut(2, reset=True), loopback.HangUp(), loopback.HangUp(reset=True)],
    ids=["cut-fin", "cut-rst", "nothing-fin", "nothing-rst"],
)
async def test_a_broken_connection_is_a_cut_that_may_be_billed(
    transport: Transport, openai_upstream: Upstream, step: loopback.Step, body: bytes
) -> None:
    openai_upstream.script(step)
    with pytest.raises(UpstreamCut) as raised:
        await post(transport, openai_upstream, body)
    assert raised.value.reached


async def test_a_refused_connection_is_unreachable_and_not_billed(transport: Transport) -> None:
    with pytest.raises(UpstreamUnreachable) as raised:
        async with transport.post("http://127.0.0.1:1/v1", {}, b"{}", 2):
            pass
    assert not raised.value.reached


async def test_a_connection_that_takes_too_long_is_a_timeout_and_not_billed(
    transport: Transport, full_port: int
) -> None:
    with pytest.raises(UpstreamTimeout, match=r"0\.2 s \(connect\)") as raised:
        async with transport.post(f"http://127.0.0.1:{full_port}/v1", {}, b"{}", 0.2):
            pass
    assert not raised.value.reached


async def test_plain_http_on_a_tls_port_is_unreachable(transport: Transport, openai_upstream: Upstream) -> None:
    with pytest.raises(UpstreamUnreachable):
        async with transport.post(f"https://127.0.0.1:{openai_upstream.port}/v1", {}, b"{}", 2):
            pass


async def test_a_redirect_is_handed_back_and_not_followed(transport: Transport, openai_upstream: Upstream) -> None:
    async with loopback.serve(loopback.OpenAI()) as trap:
        openai_upstream.script(loopback.redirect(f"{trap.base_url}/chat/completions"))
        url = f"{openai_upstream.base_url}/chat/completions"
        async with transport.post(url, headers(openai_upstream), WHOLE, 2) as response:
            assert response.status == 307
    assert trap.connections == 0


async def test_a_compressed_body_is_refused_unread(transport: Transport, openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Gzipped(inflated_bytes=64 << 20))
    with pytest.raises(UpstreamMalformed, match="compressed"):
        await post(transport, openai_upstream)


async def test_a_body_over_the_cap_is_refused(transport: Transport, openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Flood(64 << 20))
    with pytest.raises(UpstreamMalformed, match="larger than 16777216 bytes"):
        await post(transport, openai_upstream)
    await openai_upstream.requests[0].disconnected.wait()


async def test_a_proxy_in_the_environment_is_ignored(
    openai_upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for made in (Http1Transport(), HttpxTransport()):
        await post(made, openai_upstream)
        await made.close()


async def test_something_that_is_not_http_is_malformed(transport: Transport) -> None:
    async def speak_smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(speak_smtp, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with pytest.raises(UpstreamError) as raised:
        async with transport.post(url, {}, b"{}", 2):
            pass
    server.close()
    assert isinstance(raised.value, UpstreamMalformed)


async def test_a_hundred_cancelled_requests_leave_no_answer_for_another(
    transport: Transport, openai_upstream: Upstream
) -> None:
    """OpenAI, 2023-03-20: a cancelled command left its answer on a pooled connection, and a stranger read it."""
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))

    async def ask(number: int) -> str:
        asked = {**BODY, "messages": [{"role": "user", "content": f"n{number}"}]}
        answer = json.loads(await post(transport, openai_upstream, json.dumps(asked).encode()))
        return str(answer["choices"][0]["message"]["content"])

    asking = [asyncio.ensure_future(ask(number)) for number in range(100)]
    for number, task in enumerate(asking):
        await openai_upstream.arrival(number + 1)
        ticks.release()
        if number % 2:
            task.cancel()
    for _ in range(10_000):
        ticks.release()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [a for a in answers if isinstance(a, str)] == [f"You said: n{n}" for n in range(0, 100, 2)]
    assert await ask(1000) == "You said: n1000"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.adapters.http1_transport import Http1Transport
from gateway.adapters.http_provider import HttpProvider
from gateway.adapters.httpx_transport import HttpxTransport
from gateway.adapters.transport import Transport
from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk, assemble, split
from gateway.core.deadlines import Deadlines
from gateway.core.errors import (
    UnsupportedParameter,
    UpstreamAuth,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamQueued,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from gateway.core.plan import Model
from gateway.core.pricing import Price
from gateway.core.profile import Profile
from gateway.core.tiers import Tier
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.deepseek import DeepSeek
from gateway.dialects.dialect import Dialect
from gateway.dialects.llamacpp import LlamaCpp
from gateway.dialects.openai import OpenAI
from tests import loopback
from tests.loopback import Upstream

NAMES = {"OpenAI": "gpt-4.1", "DeepSeek": "deepseek-flash", "Anthropic": "claude-haiku-4-5", "LlamaCpp": "local"}
DIALECTS: dict[str, Dialect] = {
    "OpenAI": OpenAI(),
    "DeepSeek": DeepSeek(),
    "Anthropic": Anthropic(),
    "LlamaCpp": LlamaCpp(),
}
PATIENT = Deadlines(connect_s=2, first_token_s=20, between_tokens_s=20, total_s=20)


@pytest.fixture(params=[Http1Transport, HttpxTransport])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    made: Transport = request.param()
    yield made
    await made.close()


@pytest.fixture(params=[loopback.OpenAI, loopback.DeepSeek, loopback.Anthropic, loopback.LlamaCpp])
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[Upstream]:
    async with loopback.serve(request.param()) as upstream:
        yield upstream


def provider(upstream: Upstream, transport: Transport, **changes: Any) -> HttpProvider:
    kind = type(upstream.flavour).__name__
    given = {"base_url": upstream.base_url, "api_key": upstream.api_key or None, "deadlines": PATIENT, **changes}
    return HttpProvider(kind.lower(), dialect=DIALECTS[kind], transport=transport, **given)


def model(upstream: Upstream, **profile: Any) -> Model:
    name = NAMES[type(upstream.flavour).__name__]
    return Model("ours", "provider", name, Tier.LIGHT, Price(), Profile(max_output_tokens=4096, **profile))


def request(*, stream: bool = True, **more: Any) -> ChatRequest:
    messages = ({"role": "user", "content": "one two three"},)
    body = {"model": "ours", "messages": list(messages), "stream": stream, **more}
    return ChatRequest("ours", messages, body, stream=stream)


async def ask(asked: HttpProvider, upstream: Upstream, *, stream: bool = True) -> list[Chunk]:
    chunks: list[Chunk] = []
    await collect(asked, upstream, chunks, stream=stream)
    return chunks


async def collect(asked: HttpProvider, upstream: Upstream, into: list[Chunk], *, stream: bool = True) -> None:
    """Also keeps what came before a failure. A whole answer is taken apart."""
    if not stream:
        into += split((await asked.answer(request(stream=False), model(upstream), None)).completion)
        return
    async with asked.chat(request(stream=stream), model(upstream), None) as answer:
        async for portion in answer.portions:
            into += portion


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_every_dialect_is_accepted_and_answered(upstream: Upstream, transport: Transport, stream: bool) -> None:
    completion = assemble(await ask(provider(upstream, transport), upstream, stream=stream))
    assert not upstream.refusals
    assert completion["choices"][0]["message"]["content"] == "You said: one two three"
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] == upstream.requests[0].produced_tokens


async def test_the_providers_request_id_is_kept(upstream: Upstream, transport: Transport) -> None:
    async with provider(upstream, transport).chat(request(), model(upstream), None) as answer:
        assert answer.request_id == "req_1"


async def test_only_our_headers_are_sent(upstream: Upstream, transport: Transport) -> None:
    await ask(provider(upstream, transport), upstream)
    sent = set(upstream.requests[0].headers)
    ours = {
        "content-type",
        "accept-encoding",
        "user-agent",
        "accept",
        "authorization",
        "x-api-key",
        "anthropic-version",
    }
    assert sent <= ours | {"host", "content-length", "connection"}
    assert upstream.requests[0].headers["accept-encoding"] == "identity"


async def test_leaving_a_stream_closes_the_upstream(upstream: Upstream, transport: Transport) -> None:
    upstream.script(loopback.Stall(after_tokens=1))
    async with provider(upstream, transport).chat(request(), model(upstream), None) as answer:
        await anext(answer.portions)
    await asyncio.wait_for(upstream.requests[0].disconnected.wait(), 2)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_being_cancelled_before_the_first_token_closes_the_upstream(
    openai_upstream: Upstream, transport: Transport, stream: bool
) -> None:
    openai_upstream.script(loopback.Silence())
    asking = asyncio.ensure_future(ask(provider(openai_upstream, transport), openai_upstream, stream=stream))
    arrived = await openai_upstream.arrival()
    asking.cancel()
    await asyncio.wait_for(arrived.disconnected.wait(), 2)


@pytest.mark.parametrize(
    ("step", "error", "reached"),
    [
        (loopback.Refuse(401), UpstreamAuth, False),
        (loopback.Refuse(503), UpstreamOverloaded, False),
        (loopback.Respond(500, b"<html>Bad gateway</html>"), UpstreamError, False),
        (loopback.Respond(200, b"<html>Hello</html>"), UpstreamMalformed, True),
        (loopback.HangUp(), UpstreamCut, True),
        (loopback.Gzipped(), UpstreamMalformed, True),
    ],
    ids=["401", "503", "html-500", "html-200", "hang-up", "gzip"],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_failures_before_the_first_chunk_come_before_anything_is_said(
    openai_upstream: Upstream,
    transport: Transport,
    step: loopback.Step,
    error: type[UpstreamError],
    reached: bool,
    stream: bool,
) -> None:
    openai_upstream.script(step)
    chunks: list[Chunk] = []
    with pytest.raises(error) as raised:
        await collect(provider(openai_upstream, transport), openai_upstream, chunks, stream=stream)
    assert not chunks
    assert raised.value.reached is reached


async def test_a_rate_limit_keeps_its_retry_after(upstream: Upstream, transport: Transport) -> None:
    upstream.script(loopback.rate_limited(7))
    with pytest.raises(UpstreamRateLimited) as raised:
        await ask(provider(upstream, transport), upstream)
    assert raised.value.retry_after_s == 7


@pytest.mark.parametrize(
    "step",
    [
        loopback.Cut(2),
        loopback.Cut(2, reset=True),
        loopback.Unfinished(2),
        loopback.Fail(2),
        loopback.Insert(b"data: {oops\n\n", after_tokens=2),
    ],
    ids=["fin", "rst", "unfinished", "error-event", "malformed"],
)
async def test_failures_in_the_middle_of_a_stream_are_told_and_may_be_billed(
    upstream: Upstream, transport: Transport, step: loopback.Step
) -> None:
    upstream.script(step)
    chunks: list[Chunk] = []
    with pytest.raises(UpstreamError) as raised:
        await collect(provider(upstream, transport), upstream, chunks)
    assert chunks
    assert raised.value.reached


@pytest.mark.parametrize("step", [loopback.Silence(), loopback.Silence(head_bytes=12)], ids=["mute", "slow-loris"])
async def test_the_first_token_has_a_deadline(
    openai_upstream: Upstream, transport: Transport, step: loopback.Step
) -> None:
    openai_upstream.script(step)
    asked = provider(openai_upstream, transport, deadlines=Deadlines(first_token_s=0.1))
    with pytest.raises(UpstreamTimeout, match=r"0\.1 s \(first token\)") as raised:
        await ask(asked, openai_upstream)
    assert raised.value.reached
    await openai_upstream.requests[0].disconnected.wait()


async def test_keep_alives_are_no_first_token(upstream: Upstream, transport: Transport) -> None:
    upstream.script(loopback.KeepAlives(2, asyncio.Semaphore(1)))
    asked = provider(upstream, transport, deadlines=Deadlines(first_token_s=0.1))
    with pytest.raises(UpstreamTimeout, match="first token"):
        await ask(asked, upstream)


async def test_a_stall_in_the_middle_has_a_deadline(upstream: Upstream, transport: Transport) -> None:
    upstream.script(loopback.Stall(after_tokens=2))
    asked = provider(upstream, transport, deadlines=Deadlines(first_token_s=20, between_tokens_s=0.1))
    with pytest.raises(UpstreamTimeout, match=r"0\.1 s \(between tokens\)"):
        await ask(asked, upstream)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_the_whole_attempt_has_a_deadline(openai_upstream: Upstream, transport: Transport, stream: bool) -> None:
    openai_upstream.script(loopback.Stall(after_tokens=2))
    asked = provider(openai_upstream, transport, deadlines=Deadlines(between_tokens_s=20, total_s=0.1))
    with pytest.raises(UpstreamTimeout, match=r"0\.1 s \(total\)"):
        await ask(asked, openai_upstream, stream=stream)


async def test_only_as_many_requests_as_there_are_slots_are_in_the_air(
    llamacpp_upstream: Upstream, transport: Transport
) -> None:
    asked = provider(llamacpp_upstream, transport, concurrency=2)
    await asyncio.gather(*(ask(asked, llamacpp_upstream) for _ in range(8)))
    assert len(llamacpp_upstream.requests) == 8
    assert llamacpp_upstream.peak_in_flight == 2


async def test_waiting_for_a_slot_counts_against_the_first_token(
    llamacpp_upstream: Upstream, transport: Transport
) -> None:
    llamacpp_upstream.script(loopback.Stall(1))
    asked = provider(llamacpp_upstream, transport, concurrency=1, deadlines=Deadlines(first_token_s=0.2))
    async with asked.chat(request(), model(llamacpp_upstream), None) as first:
        await anext(first.portions)
        with pytest.raises(UpstreamQueued, match="first token") as raised:
            await ask(asked, llamacpp_upstream)
    assert not raised.value.reached
    assert len(llamacpp_upstream.requests) == 1


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_an_echoed_key_is_taken_out(openai_upstream: Upstream, transport: Transport, stream: bool) -> None:
    key = openai_upstream.api_key
    openai_upstream.script(loopback.Refuse(400, f"Invalid header value {key} in your request"))
    with pytest.raises(UpstreamError) as raised:
        await ask(provider(openai_upstream, transport), openai_upstream, stream=stream)
    assert key not in f"{raised.value} {raised.value.message} {raised.value!r}"


async def test_a_key_echoed_in_the_middle_of_a_stream_is_taken_out(
    openai_upstream: Upstream, transport: Transport
) -> None:
    openai_upstream.script(loopback.Fail(1, f"Internal error with {openai_upstream.api_key}"))
    with pytest.raises(UpstreamError) as raised:
        await ask(provider(openai_upstream, transport), openai_upstream)
    assert openai_upstream.api_key not in f"{raised.value} {raised.value.message}"


async def test_embeddings_are_forwarded_under_the_providers_model_name(
    openai_upstream: Upstream, transport: Transport
) -> None:
    asked = provider(openai_upstream, transport, embeddings_path="/embeddings")
    answer = await asked.embed({"model": "ours", "input": ["one", "two"]}, model(openai_upstream))
    assert [row["index"] for row in answer["data"]] == [0, 1]
    assert openai_upstream.requests[0].body == {"model": "gpt-4.1", "input": ["one", "two"]}


async def test_a_provider_without_embeddings_says_so(upstream: Upstream, transport: Transport) -> None:
    with pytest.raises(UnsupportedParameter, match="has no embeddings"):
        await provider(upstream, transport).embed({"input": "x"}, model(upstream))
    assert not upstream.requests

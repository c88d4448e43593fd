from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.child_process import Backoff, Phase
from gateway.adapters.data_dir import DataDir
from gateway.adapters.http_provider import HttpProvider
from gateway.adapters.httpx_transport import HttpxTransport
from gateway.adapters.llama_child import Engine, LlamaServer
from gateway.adapters.llama_provider import LlamaProvider, LocalModel
from gateway.core.chat import ChatRequest, parse_chat
from gateway.core.chunks import Chunk, split
from gateway.core.deadlines import Deadlines
from gateway.core.errors import UpstreamTimeout
from gateway.core.plan import Model
from gateway.core.pricing import FREE
from gateway.core.tiers import Tier
from gateway.dialects.llamacpp import LlamaCpp
from tests.fixtures.children import States

TINY = Model("tiny", "local", "tiny", Tier.LIGHT, FREE)


Connect = Callable[[LocalModel], HttpProvider]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    transport = HttpxTransport()

    def to(server: LocalModel) -> HttpProvider:
        assert server.base_url is not None
        return HttpProvider(
            "local", server.base_url, server.api_key, LlamaCpp(), transport, concurrency=server.total_slots
        )

    yield to
    await transport.close()


def hello(**body: Any) -> ChatRequest:
    return parse_chat({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, **body})


async def answer(provider: LlamaProvider, chat: ChatRequest, model: Model = TINY) -> list[Chunk]:
    if not chat.stream:
        return split((await provider.answer(chat, model, None)).completion)
    async with provider.chat(chat, model, None) as upstream:
        return [chunk async for portion in upstream.portions for chunk in portion]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_that_comes_while_the_model_loads_is_answered(
    tiny_model: Path, data_dir: DataDir, connect: Connect, stream: bool
) -> None:
    server = LlamaServer(Engine(str(tiny_model), slots=1), data_dir)
    provider = LlamaProvider("local", server, connect, wait_s=60)
    await server.start()
    assert provider.waiting_for is not None
    chunks = await answer(provider, hello(stream=stream))
    assert provider.waiting_for is None
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert usage[-1]["completion_tokens"] == 8
    await server.stop()


async def test_a_request_that_waits_too_long_is_told_what_for(
    tiny_model: Path, data_dir: DataDir, connect: Connect
) -> None:
    server = LlamaServer(Engine(str(tiny_model), slots=1), data_dir)
    provider = LlamaProvider("local", server, connect, wait_s=0)
    await server.start()
    with pytest.raises(UpstreamTimeout, match="local: starting tiny, not ready after 0 s"):
        await answer(provider, hello())
    await server.stop()


async def test_a_models_own_deadline_bounds_the_waiting_too(
    tiny_model: Path, data_dir: DataDir, connect: Connect
) -> None:
    server = LlamaServer(Engine(str(tiny_model), slots=1), data_dir)
    provider = LlamaProvider("local", server, connect, wait_s=60)
    await server.start()
    with pytest.raises(UpstreamTimeout, match="not ready after 0 s"):
        await answer(provider, hello(), replace(TINY, deadlines=Deadlines(first_token_s=0)))
    await server.stop()


async def test_a_restarted_model_is_found_on_its_new_port(
    tiny_model: Path, data_dir: DataDir, connect: Connect, states: States
) -> None:
    engine = Engine(str(tiny_model), slots=1)
    server = LlamaServer(engine, data_dir, backoff=Backoff(first_s=0.001), on_state=states)
    provider = LlamaProvider("local", server, connect, wait_s=60)
    await server.start()
    await answer(provider, hello())
    before = server.base_url
    first = await states.until(Phase.READY)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await states.until(Phase.RESTARTING)
    assert await answer(provider, hello())
    assert server.base_url != before
    await server.stop()

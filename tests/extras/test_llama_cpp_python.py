"""The second launcher: llama-cpp-python's own server, compiled on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.adapters.data_dir import DataDir
from gateway.adapters.llama_child import Engine, LlamaServer

NOISE: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 8,
    "temperature": 0,
}


@pytest.fixture(scope="module")
async def tiny(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaServer]:
    with DataDir(tmp_path_factory.mktemp("llama")) as owned:
        server = LlamaServer(Engine(str(tiny_model), launcher="llama-cpp-python", context_tokens=512), owned)
        await server.start()
        await server.wait_ready(60)
        yield server
        await server.stop()


def client(server: LlamaServer) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {server.api_key}"}
    return httpx.AsyncClient(base_url=server.base_url or "", headers=headers, timeout=60, trust_env=False)


async def streamed(server: LlamaServer, body: dict[str, Any]) -> list[str]:
    async with client(server) as http, http.stream("POST", "/chat/completions", json=body) as answer:
        return [line.removeprefix("data: ") async for line in answer.aiter_lines() if line.startswith("data: ")]


async def test_a_whole_answer_has_text_and_usage(tiny: LlamaServer) -> None:
    async with client(tiny) as http:
        answer = (await http.post("/chat/completions", json=NOISE)).raise_for_status().json()
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["model"] == "tiny"


async def test_a_streamed_answer_ends_with_done_and_carries_no_usage(tiny: LlamaServer) -> None:
    events = await streamed(tiny, {**NOISE, "stream": True, "stream_options": {"include_usage": True}})
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert not any(chunk.get("usage") for chunk in chunks)


async def test_a_second_request_does_not_end_the_stream_of_the_first(tiny: LlamaServer) -> None:
    body = {**NOISE, "max_tokens": 60, "stream": True}
    alone = await streamed(tiny, body)
    first, second = await asyncio.gather(streamed(tiny, body), streamed(tiny, body))
    assert len(first) == len(second) == len(alone)


async def test_it_serves_one_request_at_a_time_and_says_so(tiny: LlamaServer) -> None:
    assert tiny.total_slots == 1


async def test_a_caller_without_the_key_is_refused(tiny: LlamaServer) -> None:
    async with httpx.AsyncClient(base_url=tiny.base_url or "", trust_env=False) as stranger:
        assert (await stranger.post("/chat/completions", json=NOISE)).status_code == 401


async def test_smollm2_knows_the_capital_of_france(data_dir: DataDir) -> None:
    server = LlamaServer(Engine("smollm2-135m", launcher="llama-cpp-python"), data_dir)
    await server.start()
    await server.wait_ready(100)
    question = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Name the capital city of France."},
    ]
    async with client(server) as http:
        body = {"messages": question, "max_tokens": 24, "temperature": 0}
        answer = (await http.post("/chat/completions", json=body)).raise_for_status().json()
    assert "Paris" in answer["choices"][0]["message"]["content"]
    await server.stop()

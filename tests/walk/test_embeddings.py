"""Embeddings forwarded to a provider: charged, counted, and told truly when the client leaves."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from gateway.core.events import RequestFinished
from tests.fixtures.gateway import Config, running

MODEL = "text-embedding-3-small"


@pytest.fixture
def embedding_provider(four_providers: Config) -> Config:
    row = {"provider": "openai", "mode": "embedding"}
    return {**four_providers, "models": {**four_providers["models"], MODEL: row}}


async def test_an_embedding_is_charged_by_its_tokens(tmp_path: Path, embedding_provider: Config) -> None:
    async with running(tmp_path, embedding_provider) as gateway:
        answer = await gateway.http.post("/v1/embeddings", json={"model": MODEL, "input": "one two three"})
        event = await gateway.events.next(RequestFinished)
    assert answer.status_code == 200, answer.text
    # $0.02 a million tokens (genai-prices 0.2.3)
    assert event.cost_usd == Decimal("0.02") * answer.json()["usage"]["prompt_tokens"] / 1_000_000
    assert answer.headers["x-thriftgate-cost-usd"] == f"{event.cost_usd:.9f}"


async def test_a_client_that_leaves_is_told_as_that(tmp_path: Path, embedding_provider: Config) -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1") as upstream:
        port = upstream.sockets[0].getsockname()[1]
        embedding_provider["providers"]["openai"]["base_url"] = f"http://127.0.0.1:{port}/v1"
        async with running(tmp_path, embedding_provider) as gateway, httpx.AsyncClient(base_url=gateway.url) as leaving:
            with pytest.raises(httpx.ReadTimeout):
                await leaving.post("/v1/embeddings", json={"model": MODEL, "input": "hello"}, timeout=1.0)
            await left.wait()
            event = await gateway.events.next(RequestFinished)
    assert event.outcome == "client_disconnect"
    assert event.status == 499
    assert event.usage.source == "estimated"
    assert event.cost_usd > 0, "upstream had accepted it and may bill it"

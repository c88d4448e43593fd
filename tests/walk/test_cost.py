"""What a request costs is one figure: in its header, in its event and in the ledger, to the nano-dollar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import Amount
from gateway.core.events import RequestFinished
from gateway.core.pricing import to_nano
from gateway.core.usage import Usage
from gateway.service_catalog import build_services
from gateway.settings import load
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running
from tests.fixtures.semantic import EventList
from tests.fixtures.state import PATIENT_S

KEY = {"authorization": "Bearer k"}
GPU = {"gpu_hour_usd": 2.0, "prompt_tokens_per_s": 2_000, "output_tokens_per_s": 50}
SAID = {
    "openai": ("gpt-6.1-terra", Usage(2_100, 96, 1_024, 1_000, 64)),
    "anthropic": ("claude-opus-5-5", Usage(1_211, 17, 1_000, 200, cache_write_1h_tokens=50)),
    "deepseek": ("deepseek-flash", Usage(1_000, 500, 128, reasoning_tokens=100)),
    "llamacpp": ("local", Usage(27, 8, 26)),
}
NANO_USD = {"openai": 1_857_200, "anthropic": 1_734_000, "deepseek": 431_184, "llamacpp": 89_167}
"""Worked out in tests/core/test_cost_table.py."""


class Shop:
    """A service with a budget: what the gateway tells of a request, and what its ledger says was spent."""

    def __init__(self, gateway: Running, ledger: RedisLedger, folder: Path) -> None:
        self.gateway = gateway
        self._ledger = ledger
        (self._service,) = build_services(load(folder / "gateway.yaml", {})).values()

    async def ask(self, text: str, model: str, *, streamed: bool) -> tuple[httpx.Response, RequestFinished]:
        answer = await self.gateway.ask(text, model, KEY, stream=streamed)
        return answer, await self.gateway.events.next(RequestFinished)

    async def spent(self) -> Amount:
        """Settled, and reserved if anything still were."""
        (standing,) = await self._ledger.standing(self._service.payer)
        return standing.used


@asynccontextmanager
async def shop(folder: Path, config: Config, client: RedisClient) -> AsyncIterator[Shop]:
    budget = {"tokens": 100_000_000, "usd": 1_000, "window": "month"}
    service = {"name": "shop", "key": "k", "budget": budget}
    async with running(folder, {**config, "services": [service]}) as gateway:
        ledger = RedisLedger(client, SystemClock(), EventList(), lease_s=60.0, timeout_s=PATIENT_S)
        yield Shop(gateway, ledger, folder)


@pytest.fixture
def priced(four_providers: Config) -> Config:
    """DeepSeek without its peak hours, because the clock is the machine's; our own model by the hour of its GPU."""
    models = four_providers["models"]
    models["deepseek-flash"]["price"] = {"input": 0.15, "output": 0.6, "cache_read": 0.003}
    models["local"]["price"] = GPU
    return four_providers


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", SAID)
async def test_header_event_and_ledger_agree_to_the_nano_dollar(
    tmp_path: Path,
    priced: Config,
    redis_client: RedisClient,
    four_upstreams: dict[str, loopback.Upstream],
    kind: str,
    streamed: bool,
) -> None:
    model, usage = SAID[kind]
    four_upstreams[kind].always(loopback.Answer("Done.", usage=usage))
    async with shop(tmp_path, priced, redis_client) as service:
        answer, event = await service.ask("What will it cost?", model, streamed=streamed)
        spent = await service.spent()
    assert answer.status_code == 200, answer.text
    assert event.usage == usage
    assert to_nano(event.cost_usd) == NANO_USD[kind]
    assert event.cost_usd * 1_000_000_000 == NANO_USD[kind], "told as it was charged, without fractions"
    if not streamed:  # a stream's cost is known at its end
        assert answer.headers["x-thriftgate-cost-usd"] == f"0.{NANO_USD[kind]:09d}"
    # no budget counts what our own hardware answers
    assert spent == (Amount(0, 0) if kind == "llamacpp" else Amount(usage.total_tokens, NANO_USD[kind]))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_hit_costs_nothing_and_says_what_it_saved(
    tmp_path: Path, priced: Config, redis_client: RedisClient, openai_upstream: loopback.Upstream, streamed: bool
) -> None:
    model, usage = SAID["openai"]
    openai_upstream.always(loopback.Answer("Done.", usage=usage))
    async with shop(tmp_path, priced, redis_client) as service:
        await service.ask("What will it cost?", model, streamed=False)
        answer, event = await service.ask("What will it cost?", model, streamed=streamed)
        spent = await service.spent()
    assert answer.headers["x-thriftgate-cache"] == "hit"
    assert answer.headers["x-thriftgate-cost-usd"] == "0.000000000"
    assert to_nano(event.saved_usd) == NANO_USD["openai"]
    assert event.cost_usd == 0
    assert spent == Amount(usage.total_tokens, NANO_USD["openai"])


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_failed_attempt_is_in_all_three_beside_the_one_that_answered(
    tmp_path: Path, priced: Config, redis_client: RedisClient, openai_upstream: loopback.Upstream, streamed: bool
) -> None:
    """Both cost fractions of a nano-dollar: each is rounded by itself, and only once."""
    priced["models"]["gpt-6.1-terra"]["price"] = GPU
    openai_upstream.script(loopback.Cut(0), loopback.Say(loopback.Answer("Done.", usage=Usage(1, 2))))
    async with shop(tmp_path, priced, redis_client) as service:
        answer, event = await service.ask("What will it cost?", "gpt-6.1-terra", streamed=streamed)
        spent = await service.spent()
    assert answer.headers["x-thriftgate-attempts"] == "2"
    assert to_nano(event.cost_usd) == spent.nano_usd > 22_500  # 277.777… + 2 x 11111.111… for the second alone
    assert event.usage.total_tokens == spent.tokens
    assert event.cost_usd * 1_000_000_000 == spent.nano_usd


async def test_a_stream_that_breaks_is_charged_alike(
    tmp_path: Path, priced: Config, redis_client: RedisClient, anthropic_upstream: loopback.Upstream
) -> None:
    anthropic_upstream.always(loopback.Cut(3))
    async with shop(tmp_path, priced, redis_client) as service:
        _, event = await service.ask("What will it cost?", "claude-opus-5-5", streamed=True)
        spent = await service.spent()
    assert event.outcome == "upstream_error"
    assert to_nano(event.cost_usd) == spent.nano_usd > 0


async def test_a_client_that_leaves_is_charged_alike(
    tmp_path: Path, priced: Config, redis_client: RedisClient, anthropic_upstream: loopback.Upstream
) -> None:
    anthropic_upstream.always(loopback.Stall(3))
    body = chat("What will it cost?", "claude-opus-5-5", stream=True)
    async with shop(tmp_path, priced, redis_client) as service:
        async with service.gateway.http.stream("POST", "/v1/chat/completions", json=body, headers=KEY) as answer:
            async for line in answer.aiter_lines():
                if "content" in line:
                    break
        event = await service.gateway.events.next(RequestFinished)
        spent = await service.spent()
    assert event.outcome == "client_disconnect"
    assert to_nano(event.cost_usd) == spent.nano_usd > 0


async def test_an_embedding_costs_the_same_in_all_three(
    tmp_path: Path, priced: Config, redis_client: RedisClient
) -> None:
    model = "text-embedding-3-small"
    priced["models"][model] = {"provider": "openai", "mode": "embedding"}
    async with shop(tmp_path, priced, redis_client) as service:
        body = {"model": model, "input": "one two three"}
        answer = await service.gateway.http.post("/v1/embeddings", json=body, headers=KEY)
        event = await service.gateway.events.next(RequestFinished)
        spent = await service.spent()
    tokens = answer.json()["usage"]["prompt_tokens"]
    # $0.02 a million: 20 nano-dollars a token
    assert spent == Amount(tokens, 20 * tokens)
    assert to_nano(event.cost_usd) == 20 * tokens
    assert answer.headers["x-thriftgate-cost-usd"] == f"0.{20 * tokens:09d}"

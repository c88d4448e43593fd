"""A gateway to which everything happens that its metrics count: all tiers, all caches, errors, refusals, reloads.

    async with busy(folder, redis_url) as (gateway, prometheus): ...

Two rounds of the same traffic with a scrape between them, because a rate needs two samples.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.core.events import HitChecked, RequestFinished, Stored
from gateway.core.usage import Usage
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, of_all_four, running
from tests.fixtures.prometheus import Prometheus, scraping

ADMIN = {"authorization": "Bearer key-admin"}
SHOP = {"authorization": "Bearer key-shop"}
POOR = {"authorization": "Bearer key-poor"}
HASTY = {"authorization": "Bearer key-hasty"}
HEAVY = "claude-opus-5-5"
MEDIUM = "gpt-6.1-terra"
LIGHT = "deepseek-flash"
UNLUCKY = "unlucky"
PRICE = {"input": 4, "output": 20}
Upstreams = dict[str, loopback.Upstream]


@asynccontextmanager
async def busy(folder: Path, redis_url: str) -> AsyncIterator[tuple[Running, Prometheus]]:
    """Until the block ends; everything that happened has been scraped."""
    async with AsyncExitStack() as stack:
        flavours = (loopback.OpenAI(), loopback.DeepSeek(), loopback.Anthropic(), loopback.LlamaCpp())
        served = [await stack.enter_async_context(loopback.serve(flavour)) for flavour in flavours]
        upstreams = dict(zip(("openai", "deepseek", "anthropic", "llamacpp"), served, strict=True))
        gateway = await stack.enter_async_context(running(folder, configured(of_all_four(upstreams, redis_url))))
        prometheus = await stack.enter_async_context(scraping(folder, gateway.url))
        while (await gateway.http.get("/readyz")).status_code != 200:
            pass
        for number in (1, 2):
            await a_round(gateway, upstreams, number)
            await everything_scraped(gateway, prometheus)
        yield gateway, prometheus


def configured(config: Config) -> Config:
    """Services that are rich, poor and hasty, semantic hits that are all checked, and a breaker that opens early."""
    dollar = {"usd": 10, "tokens": 10_000_000, "window": "month"}
    models, providers = config["models"], config["providers"]
    gpu = {"gpu_hour_usd": 2, "prompt_tokens_per_s": 2_000, "output_tokens_per_s": 50}
    return {
        **config,
        "providers": {**providers, "llamacpp": {**providers["llamacpp"], "max_concurrency": 4}},
        "server": {"admin_key": "key-admin"},
        "embedder": {"engine": "onnx"},
        "cache": {"semantic": {"deadline_ms": 60_000, "shadow_share": 1}},
        "review": {"mode": "whole"},
        "upstream": {"breaker_failures": 2, "attempts_per_model": 2},
        "models": {
            **models,
            "local": {**models["local"], "price": gpu},
            "hobby": {**models["local"], "routed": False},
            UNLUCKY: {**models[HEAVY], "upstream": HEAVY, "routed": False, "price": PRICE},
        },
        "groups": [{"name": "team", "budgets": [{"usd": 100, "window": "month"}]}],
        "services": [
            {"name": "shop", "key": "key-shop", "group": "team", "budget": dollar},
            {"name": "poor", "key": "key-poor", "budget": {"tokens": 10, "window": "day"}, "models": [HEAVY]},
            {"name": "hasty", "key": "key-hasty", "limits": {"requests_per_minute": 1}},
        ],
    }


async def a_round(gateway: Running, upstreams: Upstreams, number: int) -> None:
    for upstream in upstreams.values():
        upstream.always(loopback.Answer("So it is.", usage=Usage(900, 100, cache_read_tokens=600)))
    await answered(gateway, number)
    await found_by_meaning(gateway, number)
    await joined(gateway, upstreams["openai"], number)
    await reviewed(gateway, upstreams["openai"], number)
    await refused(gateway, number)
    await failed(gateway, upstreams, number)
    await left_early(gateway, upstreams["openai"], number)
    await reloaded(gateway)


async def answered(gateway: Running, number: int) -> None:
    """Each tier, whole and streamed, and each answer again from the exact cache."""
    for tier in ("light", "medium", "heavy"):
        for stream in (False, True):
            for _ in range(2):
                text = f"Question {number} of tier {tier}, {stream}"
                (await gateway.ask(text, f"auto:{tier}", SHOP, stream=stream)).raise_for_status()
    (await gateway.ask(f"Named {number}", LIGHT, SHOP)).raise_for_status()
    body, headers = chat(f"To a message {number}", HEAVY, max_tokens=100), {**SHOP, "anthropic-version": "2023-06-01"}
    (await gateway.http.post("/v1/messages", json=body, headers=headers)).raise_for_status()


async def found_by_meaning(gateway: Running, number: int) -> None:
    place = ("France", "Italy")[number - 1]
    await gateway.ask(f"Name the capital city of {place}.", MEDIUM, SHOP)
    while (await gateway.events.next(Stored)).layer != "semantic":
        pass
    answer = await gateway.ask(f"Name the capital city of {place}, please.", MEDIUM, SHOP)
    assert answer.headers["x-thriftgate-cache"] == "semantic-hit"
    await gateway.events.next(HitChecked)
    await gateway.ask(f"Too long for it, {number}: {'word ' * 300}", MEDIUM, SHOP)


async def joined(gateway: Running, upstream: loopback.Upstream, number: int) -> None:
    """Two equal questions at once: one upstream call."""
    ticks = asyncio.Semaphore(0)
    upstream.script(loopback.Gated(ticks, loopback.Answer("So it is.")))
    before = len(upstream.requests)
    asked = [asyncio.ensure_future(gateway.ask(f"At once {number}", MEDIUM, SHOP)) for _ in range(2)]
    await upstream.arrival(before + 1)
    for _ in range(20):
        ticks.release()
    verdicts = {answer.headers["x-thriftgate-cache"] for answer in await asyncio.gather(*asked)}
    assert "miss" in verdicts


async def reviewed(gateway: Running, upstream: loopback.Upstream, number: int) -> None:
    """A medium answer that says nothing is thrown away, and a heavy one given."""
    upstream.script(loopback.Answer(""))
    answer = await gateway.ask(f"Name a colour {number}", "auto", SHOP)
    assert answer.headers["x-thriftgate-review"].startswith("escalated"), dict(answer.headers)
    rating = {"request_id": answer.headers["x-request-id"], "score": "up"}
    (await gateway.http.post("/v1/thriftgate/feedback", json=rating, headers=SHOP)).raise_for_status()


async def refused(gateway: Running, number: int) -> None:
    assert (await gateway.ask(f"For nothing {number}", HEAVY, POOR)).status_code == 429
    await gateway.ask(f"Quick {number}", LIGHT, HASTY)
    assert (await gateway.ask(f"Quicker {number}", LIGHT, HASTY)).status_code == 429
    assert (await gateway.ask(f"Of whom {number}", "no-such-model", SHOP)).status_code == 404


async def failed(gateway: Running, upstreams: Upstreams, number: int) -> None:
    """Once an attempt that is made again, once a model that keeps failing until its breaker opens."""
    upstreams["openai"].script(loopback.Refuse(500))
    assert (await gateway.ask(f"Try again {number}", MEDIUM, SHOP)).status_code == 200
    upstreams["anthropic"].always(loopback.Refuse(500))
    for attempt in range(2):
        assert (await gateway.ask(f"In vain {number}.{attempt}", UNLUCKY, SHOP)).status_code >= 500


async def left_early(gateway: Running, upstream: loopback.Upstream, number: int) -> None:
    ticks = asyncio.Semaphore(0)
    upstream.script(loopback.Gated(ticks, loopback.Answer("one two three four")))
    ticks.release()
    body: dict[str, Any] = chat(f"Never mind {number}", MEDIUM, stream=True)
    async with gateway.http.stream("POST", "/v1/chat/completions", json=body, headers=SHOP) as stream:
        async for _ in stream.aiter_raw():
            break
    while (await gateway.events.next(RequestFinished)).outcome != "client_disconnect":
        pass


async def reloaded(gateway: Running) -> None:
    assert (await gateway.http.post("/v1/thriftgate/reload", headers=ADMIN)).status_code == 200


async def everything_scraped(gateway: Running, prometheus: Prometheus) -> None:
    """A scrape that began after the last request was told."""
    finished = sum(isinstance(event, RequestFinished) for event in gateway.events.told)
    await prometheus.until(f"sum(thriftgate_requests_total) >= {finished} and on () thriftgate:budget_burn:rate1h")

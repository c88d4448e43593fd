"""A stream that is slow to begin is asked of somebody else too: who answers, who pays, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.events import AttemptFailed, BreakerOpened, RequestFinished
from gateway.core.recent_times import LEAST
from gateway.core.usage import Usage
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running
from tests.fixtures.ledger import account_sums
from tests.loopback.exchange import Exchange

TERRA, OPUS = "gpt-6.1-terra", "claude-opus-5-5"
KEY = {"authorization": "Bearer sk-shop"}
ANSWER = loopback.Answer("So it is.", usage=Usage(10, 3))
Two = tuple[loopback.Upstream, loopback.Upstream]


@pytest.fixture
async def two_hosts(openai_upstream: loopback.Upstream) -> AsyncIterator[Two]:
    async with loopback.serve(loopback.OpenAI()) as other:
        for host in (openai_upstream, other):
            host.always(ANSWER)
        yield openai_upstream, other


def hedging(config: Config, after: object, *hosts: loopback.Upstream, **budget: Any) -> Config:
    """The OpenAI provider at these hosts, a service, and prices by the output."""
    config["models"][TERRA]["price"] = {"input": 1, "output": 1_000}
    config["models"][OPUS]["price"] = {"input": 1, "output": 1_000}
    if hosts:
        rows = [{"base_url": host.base_url, "api_key": host.api_key} for host in hosts]
        config["providers"]["openai"] = {"kind": "openai", "hosts": rows}
    service = {"name": "shop", "key": "sk-shop", "budget": {"usd": 100, **budget}}
    return {**config, "services": [service], "upstream": {"hedge_after": after, "breaker_failures": 1}}


async def ask(gateway: Running, text: str = "Is it?", model: str = TERRA, **body: Any) -> httpx.Response:
    answer = await gateway.ask(text, model, KEY, **{"stream": True, "max_tokens": 10, **body})
    assert answer.status_code == 200, answer.text
    return answer


async def test_the_second_host_answers_for_a_silent_first_and_both_are_in_the_books(
    tmp_path: Path, four_providers: Config, two_hosts: Two, redis_url: str
) -> None:
    first, second = two_hosts
    first.always(loopback.Silence())
    async with running(tmp_path, hedging(four_providers, 0.05, *two_hosts)) as gateway:
        answer = await ask(gateway)
        finished = await gateway.events.next(RequestFinished)
        await asyncio.wait_for(first.requests[0].disconnected.wait(), 30)
        sums = await account_sums(redis_url, "shop")
        ill = [event for event in gateway.events.told if isinstance(event, AttemptFailed | BreakerOpened)]
    assert "[DONE]" in answer.text
    assert answer.headers["x-thriftgate-attempts"] == "2"
    assert (len(first.requests), len(second.requests)) == (1, 1)
    assert finished.cost_usd > Decimal("0.003"), "the answer, and the prompt of the one that was left"
    charged = {"settled_tokens": finished.usage.total_tokens, "settled_nano_usd": int(finished.cost_usd * 10**9)}
    assert sums == charged
    assert not ill, "who is slow once is not ill"


async def test_a_host_that_was_slow_is_not_the_first_to_be_asked_next(
    tmp_path: Path, four_providers: Config, two_hosts: Two
) -> None:
    first, second = two_hosts
    first.always(loopback.Silence())
    async with running(tmp_path, hedging(four_providers, 0.05, *two_hosts)) as gateway:
        answers = [await ask(gateway, f"Is it {number}?") for number in range(10)]
    assert [answer.headers["x-thriftgate-attempts"] for answer in answers] == ["2"] + ["1"] * 9
    assert (len(first.requests), len(second.requests)) == (1, 10)


async def test_with_one_host_another_model_of_the_tier_is_asked(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["openai"].always(loopback.Silence())
    four_upstreams["anthropic"].always(ANSWER)
    four_providers["models"][OPUS]["tier"] = "medium"
    four_providers["models"][OPUS]["routed"] = True
    async with running(tmp_path, hedging(four_providers, 0.05)) as gateway:
        gateway_models = await ask(gateway, model="auto:medium")
    assert "[DONE]" in gateway_models.text
    assert gateway_models.headers["x-thriftgate-model"] == OPUS


@pytest.mark.parametrize("after", [3_600, None, "p95"])
async def test_who_begins_in_time_is_asked_alone(
    tmp_path: Path, four_providers: Config, two_hosts: Two, after: object
) -> None:
    async with running(tmp_path, hedging(four_providers, after, *two_hosts)) as gateway:
        answers = [await ask(gateway, f"Is it {number}?") for number in range(5)]
    assert {answer.headers["x-thriftgate-attempts"] for answer in answers} == {"1"}


async def test_whole_answers_are_not_hedged(tmp_path: Path, four_providers: Config, two_hosts: Two) -> None:
    ticks = asyncio.Semaphore(0)
    for host in two_hosts:
        host.always(loopback.Gated(ticks, ANSWER))
    async with running(tmp_path, hedging(four_providers, 0.001, *two_hosts)) as gateway:
        asking = asyncio.ensure_future(ask(gateway, stream=False))
        await asyncio.wait([asyncio.ensure_future(host.arrival()) for host in two_hosts], return_when="FIRST_COMPLETED")
        for _ in range(100):
            ticks.release()
        answer = await asking
    assert answer.headers["x-thriftgate-attempts"] == "1"


@dataclass
class FirstIsSilent:
    """Whoever is asked first, at whichever host, hears nothing."""

    asked: int = 0

    async def play(self, exchange: Exchange) -> None:
        self.asked += 1
        await (loopback.Silence() if self.asked == 1 else loopback.Say(ANSWER)).play(exchange)


async def test_after_twenty_streams_it_is_known_what_is_slow(
    tmp_path: Path, four_providers: Config, two_hosts: Two
) -> None:
    async with running(tmp_path, hedging(four_providers, "p95", *two_hosts)) as gateway:
        for number in range(2 * LEAST):
            await ask(gateway, f"Is it {number}?")
        step = FirstIsSilent()
        for host in two_hosts:
            host.always(step)
        answer = await ask(gateway, "And now?")
    assert "[DONE]" in answer.text
    assert answer.headers["x-thriftgate-attempts"] == "2"


@dataclass
class Together:
    """Nobody is answered before so many have asked."""

    needed: int
    asked: int = 0
    all_there: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, exchange: Exchange) -> None:
        self.asked += 1
        if self.asked >= self.needed:
            self.all_there.set()
        await self.all_there.wait()
        await loopback.Say(ANSWER).play(exchange)


async def test_when_all_are_slow_no_more_than_a_tenth_is_asked_again(
    tmp_path: Path, four_providers: Config, two_hosts: Two
) -> None:
    streams = 100
    together = Together(streams + 10)
    for host in two_hosts:
        host.always(together)
    config = hedging(four_providers, 0.05, *two_hosts)
    config["timeouts"] = {"first_token_s": 100, "between_tokens_s": 100}
    async with running(tmp_path, config) as gateway:
        answers = await asyncio.gather(*(ask(gateway, f"Is it {number}?") for number in range(streams)))
    assert all("[DONE]" in answer.text for answer in answers)
    assert together.asked == streams + 10


async def test_a_budget_without_room_for_two_has_one_and_no_step_down(
    tmp_path: Path, four_providers: Config, two_hosts: Two
) -> None:
    ticks = asyncio.Semaphore(0)
    for host in two_hosts:
        host.always(loopback.Gated(ticks, ANSWER))
    config = hedging(four_providers, 0.05, *two_hosts, usd=0.015, ladder={"cheaper": None, "local": None})
    async with running(tmp_path, config) as gateway:
        asking = asyncio.ensure_future(ask(gateway))
        await asyncio.wait([asyncio.ensure_future(host.arrival()) for host in two_hosts], return_when="FIRST_COMPLETED")
        await asyncio.sleep(0.2)  # long enough for the second, which never comes
        for _ in range(100):
            ticks.release()
        answer = await asking
    assert "[DONE]" in answer.text
    assert "x-thriftgate-stepped-down" not in answer.headers
    assert sum(len(host.requests) for host in two_hosts) == 1


async def test_a_client_that_leaves_while_two_are_asked_leaves_both(
    tmp_path: Path, four_providers: Config, two_hosts: Two, redis_url: str
) -> None:
    for host in two_hosts:
        host.always(loopback.Silence())
    async with running(tmp_path, hedging(four_providers, 0.05, *two_hosts)) as gateway:
        body = chat("Is it?", TERRA, stream=True)
        leaving = asyncio.ensure_future(gateway.http.post("/v1/chat/completions", json=body, headers=KEY))
        requests = await asyncio.gather(*(host.arrival() for host in two_hosts))
        leaving.cancel()
        finished = await gateway.events.next(RequestFinished)
        await asyncio.wait_for(asyncio.gather(*(request.disconnected.wait() for request in requests)), 30)
        sums = await account_sums(redis_url, "shop")
    assert finished.outcome == "client_disconnect"
    assert "reserved_tokens" not in sums
    assert sums["settled_nano_usd"] == int(finished.cost_usd * 10**9)


async def test_when_both_fail_it_is_the_firsts_failure(tmp_path: Path, four_providers: Config, two_hosts: Two) -> None:
    for host in two_hosts:
        host.always(loopback.Silence())
    config = hedging(four_providers, 0.05, *two_hosts)
    config["timeouts"] = {"first_token_s": 0.3}
    async with running(tmp_path, config) as gateway:
        answer = await gateway.ask("Is it?", TERRA, KEY, stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")

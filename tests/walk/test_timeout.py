"""The client's own deadline: it holds for everything that is done for the request, and says nothing of a provider."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.core.events import AttemptFailed, BreakerOpened, RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, running

TERRA = "gpt-6.1-terra"
SHORT = {"x-thriftgate-timeout": "0.2"}
LONG = {"x-thriftgate-timeout": "60"}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_silent_provider_is_left_when_the_clients_time_is_over(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, stream: bool
) -> None:
    openai_upstream.always(loopback.Silence())
    config = {**four_providers, "upstream": {"breaker_failures": 1}}
    async with running(tmp_path, config) as gateway:
        answer = await gateway.ask("Hello?", TERRA, SHORT, stream=stream)
        finished = await gateway.events.next(RequestFinished)
        (request,) = openai_upstream.requests
        await asyncio.wait_for(request.disconnected.wait(), 30)
        told = [event for event in gateway.events.told if isinstance(event, AttemptFailed | BreakerOpened)]
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    assert "0.2 s" in answer.json()["error"]["message"]
    assert finished.attempts == 1
    assert not told, "the client's haste is no illness of the provider"


async def test_after_the_first_chunk_it_is_an_error_event_and_what_came_is_charged(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Stall(after_tokens=2))
    four_providers["models"][TERRA]["price"] = {"input": 0, "output": 1_000_000}
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("one two three four", TERRA, {"x-thriftgate-timeout": "1"}, stream=True)
        finished = await gateway.events.next(RequestFinished)
    assert answer.status_code == 200
    assert "deadline_exceeded" in answer.text
    assert "[DONE]" not in answer.text
    assert finished.cost_usd > 0


async def test_there_is_no_fallback_when_the_time_is_over_and_one_before(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["openai"].always(loopback.Silence())
    async with running(tmp_path, four_providers) as gateway:
        late = await gateway.ask("Hello?", "auto:medium", SHORT, stream=True)
        four_upstreams["openai"].always(loopback.Refuse(500))
        in_time = await gateway.ask("Hello!", "auto:medium", LONG, stream=True)
    assert late.status_code == 504
    assert in_time.headers["x-thriftgate-model"] == "claude-opus-5-5"


async def test_nobody_waits_for_a_retry_that_would_come_too_late(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.rate_limited(2))
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello?", TERRA, {"x-thriftgate-timeout": "1.5"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert len(openai_upstream.requests) == 1


async def test_an_answer_in_time_is_the_same_as_ever(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Answer("All is well."))
    async with running(tmp_path, four_providers) as gateway:
        streamed = await gateway.ask("One?", TERRA, LONG, stream=True)
        whole = await gateway.ask("Two?", TERRA, LONG)
        by_body = await gateway.ask("Three?", TERRA, thriftgate={"timeout_s": 60})
    assert "[DONE]" in streamed.text
    assert whole.json()["choices"][0]["message"]["content"] == "All is well."
    assert by_body.status_code == 200
    assert "thriftgate" not in openai_upstream.requests[-1].body


async def test_a_review_that_runs_out_of_time_gives_the_first_answer(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["llamacpp"].always(loopback.Answer("It is a city. It is Paris."))
    four_upstreams["openai"].always(loopback.Silence())
    config = {**four_providers, "services": [{"name": "shop", "key": "sk-shop", "review": "whole"}]}
    headers = {"authorization": "Bearer sk-shop", "x-thriftgate-timeout": "2"}
    async with running(tmp_path, config) as gateway:
        answer = await gateway.ask("What is the capital of France? Answer in one sentence.", "auto", headers)
    assert answer.headers["x-thriftgate-review"] == "failed:count"
    assert answer.json()["choices"][0]["message"]["content"] == "It is a city. It is Paris."

"""Storms, silence and dead hosts: what upstream is sent meanwhile, and what the client hears (FAULTS 17 to 23)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.events import AttemptFailed, BreakerClosed, BreakerOpened, RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running

TERRA = "gpt-6.1-terra"
STORM = 500


async def storm(gateway: Running, model: str, requests: int = STORM, at_once: int = 50) -> list[httpx.Response]:
    """So many different questions, some at once."""
    places = asyncio.Semaphore(at_once)

    async def one(number: int) -> httpx.Response:
        async with places:
            return await gateway.ask(f"Question {number}?", model)

    return await asyncio.gather(*map(one, range(requests)))


def with_breaker(config: Config, failures: int, open_s: float = 3_600.0, **more: Any) -> Config:
    return {**config, **more, "upstream": {"breaker_failures": failures, "breaker_open_s": open_s}}


def opened(gateway: Running) -> list[BreakerOpened]:
    return [event for event in gateway.events.told if isinstance(event, BreakerOpened)]


async def test_a_429_storm_is_not_made_worse(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(429))
    async with running(tmp_path, four_providers) as gateway:
        answers = await storm(gateway, TERRA)
        assert not opened(gateway), "a limit is no illness"
    assert {answer.status_code for answer in answers} == {429}
    assert STORM <= len(openai_upstream.requests) <= 1.10 * STORM


async def test_nothing_is_sent_before_retry_after(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.rate_limited(3_600))
    async with running(tmp_path, four_providers) as gateway:
        await gateway.ask("The first?", TERRA)
        answers = await storm(gateway, TERRA)
    assert len(openai_upstream.requests) == 1
    assert {answer.status_code for answer in answers} == {429}
    assert {answer.json()["error"]["code"] for answer in answers} == {"rate_limit_exceeded"}
    assert all(3_000 < int(answer.headers["retry-after"]) <= 3_600 for answer in answers)


async def test_while_one_provider_pauses_another_answers_and_says_why(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.rate_limited(3_600))
    async with running(tmp_path, four_providers) as gateway:
        answers = await storm(gateway, "auto:medium", requests=20, at_once=1)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(openai_upstream.requests) == 1
    assert answers[0].headers["x-thriftgate-attempts"] == "2"
    assert answers[1].headers["x-thriftgate-attempts"] == "1"
    assert f"{TERRA} passed over (rate_limit_exceeded)" in answers[1].headers["x-thriftgate-route-reason"]


async def test_a_5xx_storm_opens_the_breaker_and_the_rest_fails_at_once(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(500))
    async with running(tmp_path, with_breaker(four_providers, 5)) as gateway:
        answers = await storm(gateway, TERRA, at_once=10)
        metrics = (await gateway.http.get("/metrics")).text
        (told,) = opened(gateway)
    assert len(openai_upstream.requests) <= 20, "five, and who was in the air by then"
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) >= STORM - 20
    assert all(3_000 < int(answer.headers["retry-after"]) <= 3_600 for answer in refused)
    assert (told.provider, told.model, told.error_code) == ("openai", TERRA, "upstream_error")
    assert f'thriftgate_breaker_open{{model="{TERRA}",provider="openai"}} 1.0' in metrics


async def test_in_a_5xx_storm_nobody_fails_where_another_model_can_answer(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(500))
    async with running(tmp_path, with_breaker(four_providers, 5)) as gateway:
        answers = await storm(gateway, "auto:medium", requests=100)
    assert {answer.status_code for answer in answers} == {200}
    assert len(openai_upstream.requests) <= 110


async def test_a_silent_upstream_is_soon_not_waited_for(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Silence())
    config = with_breaker(four_providers, 2, timeouts={"first_token_s": 0.2})
    async with running(tmp_path, config) as gateway:
        answers = [await gateway.ask(f"Question {number}?", "auto:medium", stream=True) for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(openai_upstream.requests) == 2


async def test_streams_that_are_cut_open_the_breaker(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Cut(after_tokens=1))
    async with running(tmp_path, with_breaker(four_providers, 2)) as gateway:
        cut = [await gateway.ask(f"one two three {number}", TERRA, stream=True) for number in range(2)]
        whole = await gateway.ask("one two three four", "auto:medium", stream=True)
    assert not any("[DONE]" in answer.text for answer in cut)
    assert "[DONE]" in whole.text
    assert len(openai_upstream.requests) == 2


async def test_a_client_that_leaves_says_nothing_of_the_provider(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Stall(after_tokens=1))
    async with running(tmp_path, with_breaker(four_providers, 1)) as gateway:
        body = chat("a b c", TERRA, stream=True)
        async with gateway.http.stream("POST", "/v1/chat/completions", json=body) as leaving:
            await anext(leaving.aiter_bytes())
        await gateway.events.next(RequestFinished)
        assert (await gateway.ask("d e f", TERRA)).status_code == 200


async def test_a_provider_that_is_well_again_is_found_by_one_probe_and_asked_by_all(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(*[loopback.Refuse(500)] * 3)
    async with running(tmp_path, with_breaker(four_providers, 2, open_s=0.001)) as gateway:
        while not any(isinstance(event, BreakerClosed) for event in gateway.events.told):
            await gateway.ask("Are you well?", TERRA)
        answers = await storm(gateway, TERRA, requests=20)
        metrics = (await gateway.http.get("/metrics")).text
    assert {answer.status_code for answer in answers} == {200}
    assert len(opened(gateway)) == 1
    assert f'thriftgate_breaker_open{{model="{TERRA}",provider="openai"}} 0.0' in metrics


async def test_an_open_breaker_survives_a_reload(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(500))
    async with running(tmp_path, with_breaker(four_providers, 1)) as gateway:
        await gateway.ask("One?", TERRA)
        await gateway.gateway.reload()
        answer = await gateway.ask("Two?", TERRA)
    assert (answer.status_code, len(openai_upstream.requests)) == (503, 1)


async def test_a_model_that_is_not_asked_is_no_failed_attempt(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.rate_limited(3_600))
    async with running(tmp_path, four_providers) as gateway:
        for number in range(5):
            await gateway.ask(f"Question {number}?", TERRA)
        failed = [event for event in gateway.events.told if isinstance(event, AttemptFailed)]
        finished = [await gateway.events.next(RequestFinished) for _ in range(5)]
    assert len(failed) == 1
    assert [event.attempts for event in finished] == [1, 0, 0, 0, 0]
    assert sum(event.cost_usd for event in finished) == pytest.approx(0)


@pytest.fixture
async def two_hosts(openai_upstream: loopback.Upstream) -> AsyncIterator[tuple[loopback.Upstream, loopback.Upstream]]:
    async with loopback.serve(loopback.OpenAI()) as other:
        yield openai_upstream, other


def at(config: Config, *base_urls: str, **provider: Any) -> Config:
    """The OpenAI provider at these addresses."""
    hosts = [{"base_url": base_url, "api_key": config["providers"]["openai"]["api_key"]} for base_url in base_urls]
    return {**config, "providers": {**config["providers"], "openai": {"kind": "openai", "hosts": hosts, **provider}}}


async def test_with_one_of_two_hosts_dead_nobody_fails(tmp_path: Path, four_providers: Config) -> None:
    async with loopback.serve(loopback.OpenAI()) as alive:
        config = at(four_providers, "http://127.0.0.1:9/v1", alive.base_url)
        async with running(tmp_path, with_breaker(config, 1)) as gateway:
            answers = await storm(gateway, TERRA, requests=100, at_once=20)
            (told,) = opened(gateway)
            late = await gateway.ask("Is one of you still dead?", TERRA)
    assert {answer.status_code for answer in answers} == {200}
    assert told.host == "127.0.0.1:9 (1)"
    assert late.headers["x-thriftgate-attempts"] == "1", "the dead host is not asked any more"


@pytest.mark.parametrize("fault", [loopback.Silence(), loopback.Refuse(500), loopback.rate_limited(3_600)])
async def test_with_one_of_two_hosts_ill_nobody_fails(
    tmp_path: Path,
    four_providers: Config,
    two_hosts: tuple[loopback.Upstream, loopback.Upstream],
    fault: loopback.Step,
) -> None:
    ill, well = two_hosts
    ill.always(fault)
    config = at(four_providers, ill.base_url, well.base_url)
    async with running(tmp_path, with_breaker(config, 2, timeouts={"first_token_s": 0.5})) as gateway:
        answers = [await gateway.ask(f"Question {number}?", TERRA, stream=True) for number in range(20)]
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(ill.requests) <= 2
    assert len(well.requests) == 20


async def test_requests_at_once_are_shared_among_the_hosts(
    tmp_path: Path, four_providers: Config, two_hosts: tuple[loopback.Upstream, loopback.Upstream]
) -> None:
    one, two = two_hosts
    ticks = asyncio.Semaphore(0)
    for host in two_hosts:
        host.always(loopback.Gated(ticks, loopback.Answer("yes")))
    async with running(tmp_path, at(four_providers, one.base_url, two.base_url)) as gateway:
        asking = asyncio.ensure_future(storm(gateway, TERRA, requests=20, at_once=20))
        await asyncio.gather(one.arrival(10), two.arrival(10))
        for _ in range(1_000):
            ticks.release()
        assert {answer.status_code for answer in await asking} == {200}
    assert (len(one.requests), len(two.requests)) == (10, 10)


async def test_auto_leaves_a_local_queue_that_is_too_long_and_comes_back(
    tmp_path: Path, four_providers: Config, llamacpp_upstream: loopback.Upstream
) -> None:
    local = four_providers["providers"]["llamacpp"] | {"max_concurrency": 1, "max_wait_s": 0}
    config = {**four_providers, "providers": {**four_providers["providers"], "llamacpp": local}}
    ticks = asyncio.Semaphore(0)
    async with running(tmp_path, config) as gateway:
        first = await gateway.ask("First?", "auto:light")
        llamacpp_upstream.script(loopback.Gated(ticks))
        long = asyncio.ensure_future(gateway.ask("Long?", "auto:light"))
        await llamacpp_upstream.arrival(2)
        spilled = await gateway.ask("Spilled?", "auto:light")
        pinned = asyncio.ensure_future(gateway.ask("Pinned?", "local"))
        for _ in range(1_000):
            ticks.release()
        answers = [first, await long, await pinned, await gateway.ask("Last?", "auto:light")]
    assert [answer.headers["x-thriftgate-model"] for answer in answers] == ["local"] * 4
    assert spilled.headers["x-thriftgate-model"] == "deepseek-flash"
    assert "local has a queue of" in spilled.headers["x-thriftgate-route-reason"]


async def test_a_queue_is_waited_for_where_nobody_else_can_answer(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    for kind in ("openai", "deepseek", "anthropic"):
        four_upstreams[kind].always(loopback.Refuse(500))
    local = four_providers["providers"]["llamacpp"] | {"max_concurrency": 1, "max_wait_s": 0}
    config = {**four_providers, "providers": {**four_providers["providers"], "llamacpp": local}}
    async with running(tmp_path, config) as gateway:
        answers = await storm(gateway, "auto:light", requests=10, at_once=10)
    assert [answer.headers.get("x-thriftgate-model") for answer in answers] == ["local"] * 10

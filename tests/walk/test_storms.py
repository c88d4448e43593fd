"""More of what upstream may do to many requests at once, and what it is sent meanwhile (FAULTS 17 to 23)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.core.events import BreakerClosed, BreakerOpened
from tests import loopback
from tests.fixtures.gateway import Config, running
from tests.walk.test_resilience import STORM, TERRA, at, storm, with_breaker

NEVER = 1_000_000


async def test_a_5xx_storm_is_not_made_worse_even_without_a_breaker(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(500))
    async with running(tmp_path, with_breaker(four_providers, NEVER)) as gateway:
        answers = await storm(gateway, TERRA)
    assert {answer.status_code for answer in answers} == {502}
    assert STORM <= len(openai_upstream.requests) <= 1.10 * STORM


@pytest.mark.parametrize("status", [503, 529])
async def test_an_overloaded_provider_that_says_when_to_come_back_is_left_alone_until_then(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream, status: int
) -> None:
    anthropic_upstream.always(loopback.Refuse(status, headers={"retry-after": "3600"}))
    async with running(tmp_path, four_providers) as gateway:
        await gateway.ask("The first?", "claude-opus-5-5")
        answers = await storm(gateway, "claude-opus-5-5", requests=50)
    assert len(anthropic_upstream.requests) == 1
    assert {answer.status_code for answer in answers} == {503}
    assert all(3_000 < int(answer.headers["retry-after"]) <= 3_600 for answer in answers)


@pytest.mark.parametrize(
    "fault",
    [
        loopback.rate_limited(1),
        loopback.Refuse(429),
        loopback.Refuse(503),
        loopback.HangUp(),
        loopback.HangUp(reset=True),
        loopback.Cut(after_tokens=0),
        loopback.Respond(200, b"<html>"),
    ],
    ids=["429 with retry-after", "429", "503", "closed", "reset", "cut at once", "a page"],
)
async def test_whatever_one_provider_does_nobody_fails_where_another_can_answer(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, fault: loopback.Step
) -> None:
    openai_upstream.always(fault)
    async with running(tmp_path, four_providers) as gateway:
        answers = await asyncio.gather(
            *(gateway.ask(f"Question {number}?", "auto:medium", stream=number % 2 == 0) for number in range(100))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-thriftgate-model"] for answer in answers} == {"claude-opus-5-5"}
    assert len(openai_upstream.requests) <= 110


async def test_a_probe_that_is_refused_for_what_it_asks_finds_the_provider_well(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Refuse(500), loopback.Refuse(400))
    config = with_breaker(four_providers, 1, open_s=0.001)
    config["upstream"]["attempts_per_model"] = 1
    async with running(tmp_path, config) as gateway:
        answers = [await gateway.ask(f"Question {number}?", TERRA) for number in range(3)]
        told = [type(event) for event in gateway.events.told if isinstance(event, BreakerOpened | BreakerClosed)]
    assert [answer.status_code for answer in answers] == [502, 400, 200]
    assert told == [BreakerOpened, BreakerClosed]


async def test_after_a_storm_everything_is_as_before(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(500))
    async with running(tmp_path, with_breaker(four_providers, 5, open_s=0.001)) as gateway:
        await storm(gateway, TERRA, requests=100)
        openai_upstream.always(loopback.Say())
        while not any(isinstance(event, BreakerClosed) for event in gateway.events.told):
            await gateway.ask("Are you well?", TERRA)
        answers = await storm(gateway, TERRA, requests=100)
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("model", [TERRA, "auto:medium"])
async def test_hedges_and_retries_together_keep_within_a_tenth(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, model: str
) -> None:
    """Each of two hosts is sent no more than 1.1 times what it would be sent if all went well."""
    openai_upstream.always(loopback.Refuse(500))
    async with loopback.serve(loopback.OpenAI()) as other:
        other.always(loopback.Refuse(500))
        config = with_breaker(at(four_providers, openai_upstream.base_url, other.base_url), NEVER)
        config["upstream"]["hedge_after"] = 0.001
        async with running(tmp_path, config) as gateway:
            answers = await asyncio.gather(
                *(gateway.ask(f"Question {number}?", model, stream=True) for number in range(100))
            )
        sent = len(openai_upstream.requests), len(other.requests)
    assert {answer.status_code for answer in answers} == ({502} if model == TERRA else {200})
    assert max(sent) <= 110

"""Semantic hits that are asked again behind the answer, and what follows when they are wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from gateway.core.events import HitChecked, SemanticClosed
from gateway.core.false_hits import MIN_CHECKS
from gateway.core.usage import Usage
from tests import loopback
from tests.fixtures.gateway import Config, Running, running
from tests.walk.test_meaning import MODEL, PARAPHRASE, QUESTION, ready, stored_by_meaning, why, with_meaning

PARIS = "The capital city of France is Paris."
BANANAS = "Bananas are rich in potassium and easy to digest."


@asynccontextmanager
async def checking(
    folder: Path, config: Config, headers: dict[str, str] | None = None, **semantic: object
) -> AsyncIterator[Running]:
    """A gateway that checks every semantic hit, and has the answer to QUESTION."""
    async with running(folder, with_meaning(config, shadow_share=1, **semantic)) as gateway:
        await ready(gateway)
        await gateway.ask(QUESTION, MODEL, headers or {})
        await stored_by_meaning(gateway)
        yield gateway


async def hit(gateway: Running, headers: dict[str, str] | None = None) -> httpx.Response:
    answer = await gateway.ask(PARAPHRASE, MODEL, headers or {})
    assert answer.headers["x-thriftgate-cache"] == "semantic-hit"
    return answer


async def test_a_hit_that_the_model_would_have_answered_alike_is_the_same(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Answer(PARIS))
    async with checking(tmp_path, four_providers) as gateway:
        answer = await hit(gateway)
        checked = await gateway.events.next(HitChecked)
        metrics = (await gateway.http.get("/metrics")).text
    assert answer.headers["x-thriftgate-cost-usd"] == "0.000000000"
    assert openai_upstream.requests[1].body["messages"][0]["content"] == PARAPHRASE
    assert (checked.verdict, checked.judged, checked.model) == ("same", False, MODEL)
    assert checked.likeness is not None
    assert checked.likeness > 0.99
    assert checked.request_id == answer.headers["x-request-id"]
    assert checked.cost_nano_usd > 0
    assert 'thriftgate_semantic_checked_total{service="default",verdict="same"} 1.0' in metrics
    assert f'thriftgate_shadow_cost_usd_total{{service="default"}} {checked.cost_nano_usd / 10**9}' in metrics
    assert 'thriftgate_semantic_false_hit_rate{service="default"} 0.0' in metrics


async def test_a_hit_that_the_model_would_have_answered_otherwise_is_different(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Answer(PARIS), loopback.Answer(BANANAS))
    async with checking(tmp_path, four_providers) as gateway:
        answer = await hit(gateway)
        checked = await gateway.events.next(HitChecked)
    assert answer.json()["choices"][0]["message"]["content"] == PARIS
    assert checked.verdict == "different"
    assert checked.false_hit_rate == 1.0
    assert 0.2 < checked.low < checked.high == 1.0


async def test_a_streamed_hit_is_checked_too(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Answer(PARIS))
    async with checking(tmp_path, four_providers) as gateway:
        answer = await gateway.ask(PARAPHRASE, MODEL, stream=True)
        checked = await gateway.events.next(HitChecked)
    assert answer.headers["x-thriftgate-cache"] == "semantic-hit"
    assert checked.verdict == "same"


async def test_a_judge_sees_what_vectors_cannot_and_its_cost_is_counted(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, deepseek_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Answer("It takes 3 days."), loopback.Answer("It takes 5 days."))
    deepseek_upstream.script(loopback.Answer("No."))
    async with checking(tmp_path, four_providers, judge_model="deepseek-flash") as gateway:
        await hit(gateway)
        checked = await gateway.events.next(HitChecked)
    asked = deepseek_upstream.requests[0].body["messages"][-1]["content"]
    assert (checked.verdict, checked.judged) == ("different", True)
    assert checked.likeness is not None
    assert checked.likeness > 0.8
    assert PARAPHRASE in asked
    assert "3 days" in asked
    assert "5 days" in asked
    assert not deepseek_upstream.refusals


async def test_a_judge_that_fails_leaves_it_to_the_vectors(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, deepseek_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Answer(PARIS))
    deepseek_upstream.always(loopback.Refuse(400))
    async with checking(tmp_path, four_providers, judge_model="deepseek-flash") as gateway:
        await hit(gateway)
        checked = await gateway.events.next(HitChecked)
    assert (checked.verdict, checked.judged) == ("same", False)


async def test_a_model_that_fails_is_no_verdict(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Answer(PARIS), loopback.Refuse(400))
    async with checking(tmp_path, four_providers) as gateway:
        await hit(gateway)
        checked = await gateway.events.next(HitChecked)
    assert checked.verdict == "unknown"
    assert (checked.cost_nano_usd, checked.low, checked.high) == (0, 0.0, 1.0)


async def test_a_check_spends_nothing_that_the_service_has_not_got(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    services = [{"name": "shop", "key": "key-shop", "budget": {"tokens": 5_000, "window": "month"}}]
    headers = {"authorization": "Bearer key-shop"}
    openai_upstream.always(loopback.Answer(PARIS, usage=Usage(4_000, 990)))
    limits = {"max_output_tokens": 1_000}
    models = {**four_providers["models"], MODEL: {**four_providers["models"][MODEL], **limits}}
    config = {**four_providers, "models": models, "services": services}
    async with checking(tmp_path, config, headers) as gateway:
        await hit(gateway, headers)
        checked = await gateway.events.next(HitChecked)
    assert (checked.verdict, checked.service, checked.cost_nano_usd) == ("unknown", "shop", 0)
    assert len(openai_upstream.requests) == 1


async def test_too_many_wrong_hits_close_the_layer_for_that_service_and_say_so(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Answer(PARIS))
    openai_upstream.always(loopback.Answer(BANANAS))
    services = [{"name": "shop", "key": "key-shop"}, {"name": "desk", "key": "key-desk"}]
    shop = {"authorization": "Bearer key-shop"}
    async with checking(tmp_path, {**four_providers, "services": services}, shop) as gateway:
        for _ in range(MIN_CHECKS):
            await hit(gateway, shop)
            await gateway.events.next(HitChecked)
        closed = await gateway.events.next(SemanticClosed)
        answer = await gateway.ask(PARAPHRASE, MODEL, shop)
        other = await gateway.ask(PARAPHRASE, MODEL, {"authorization": "Bearer key-desk"})
        metrics = (await gateway.http.get("/metrics")).text
    assert (closed.service, closed.checks, closed.false_hit_rate) == ("shop", MIN_CHECKS, 1.0)
    assert answer.headers["x-thriftgate-cache"] == "miss"
    assert why(answer) == "semantic off: too many false hits"
    assert why(other) == ""
    assert 'thriftgate_semantic_closed{service="shop"} 1.0' in metrics

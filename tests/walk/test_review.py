"""Light answers that are looked at before they are given: what passes, what is asked again further up, and who pays."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.events import AttemptFailed, RequestFinished
from gateway.core.usage import Usage
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running
from tests.fixtures.ledger import account_sums

KEY = {"authorization": "Bearer sk-shop"}
QUESTION = "What is the capital of France? Answer in one sentence."
GOOD = loopback.Answer("It is Paris.", usage=Usage(10, 20))
LONG = loopback.Answer("It is a city. It is large. It is Paris.", usage=Usage(10, 20))
LIGHT, MEDIUM, HEAVY = "deepseek-flash", "gpt-6.1-terra", "claude-opus-5-5"
USD_PER_MTOK = {LIGHT: 10, MEDIUM: 100, HEAVY: 1_000}
COST_USD = {model: Decimal(20 * usd) / 1_000_000 for model, usd in USD_PER_MTOK.items()}


def reviewing(config: Config, review: object = "whole", **service: Any) -> Config:
    """One service, and one model a tier that costs by its output alone."""
    models = {name: row for name, row in config["models"].items() if name != "local"}
    for name, usd in USD_PER_MTOK.items():
        models[name] = {**models[name], "price": {"input": 0, "output": usd}}
    services = [{"name": "shop", "key": "sk-shop", "review": review, **service}]
    return {**config, "models": models, "services": services}


async def ask(gateway: Running, text: str = QUESTION, model: str = "auto", **body: Any) -> httpx.Response:
    answer = await gateway.ask(text, model, KEY, **body)
    assert answer.status_code == 200, answer.text
    return answer


def said(answer: httpx.Response) -> str:
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


async def test_an_answer_that_passes_says_so_and_is_found_again(
    tmp_path: Path, four_providers: Config, deepseek_upstream: loopback.Upstream
) -> None:
    deepseek_upstream.always(GOOD)
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        answer, again = await ask(gateway), await ask(gateway)
    assert answer.headers["x-thriftgate-review"] == "passed"
    assert answer.headers["x-thriftgate-model"] == LIGHT
    assert (again.headers["x-thriftgate-cache"], "x-thriftgate-review" in again.headers) == ("hit", False)


async def test_one_that_does_not_is_asked_again_one_tier_up_and_both_are_charged(
    tmp_path: Path,
    four_providers: Config,
    deepseek_upstream: loopback.Upstream,
    openai_upstream: loopback.Upstream,
    redis_url: str,
) -> None:
    deepseek_upstream.always(LONG)
    openai_upstream.always(GOOD)
    config = reviewing(four_providers, budget={"usd": 1, "tokens": 1_000_000})
    async with running(tmp_path, config) as gateway:
        answer = await ask(gateway)
        finished = await gateway.events.next(RequestFinished)
        again = await ask(gateway)
        metrics = (await gateway.http.get("/metrics")).text
        sums = await account_sums(redis_url, "shop")
        failed = [event for event in gateway.events.told if isinstance(event, AttemptFailed)]
    assert answer.headers["x-thriftgate-review"] == "escalated:count"
    assert (answer.headers["x-thriftgate-model"], answer.headers["x-thriftgate-attempts"]) == (MEDIUM, "2")
    assert answer.headers["x-thriftgate-tier"] == "light"
    assert f"{LIGHT} did not pass review (count)" in answer.headers["x-thriftgate-route-reason"]
    assert said(answer) == "It is Paris."
    assert answer.json()["usage"]["completion_tokens"] == 20
    both_usd = COST_USD[LIGHT] + COST_USD[MEDIUM]
    assert Decimal(answer.headers["x-thriftgate-cost-usd"]) == finished.cost_usd == both_usd
    assert finished.usage.total_tokens == 60
    assert sums == {"settled_tokens": 60, "settled_nano_usd": int(both_usd * 10**9)}
    assert (finished.review, finished.model, finished.attempts) == ("escalated:count", MEDIUM, 2)
    assert [(overhead.kind, overhead.usd) for overhead in finished.overheads] == [("escalation", COST_USD[LIGHT])]
    assert not failed, "a model that answers badly is well"
    assert again.headers["x-thriftgate-cache"] == "hit"
    assert 'thriftgate_reviews_total{check="count",result="escalated",service="shop"} 1.0' in metrics


async def test_two_answers_are_the_most_that_is_paid_for_and_what_failed_is_not_kept(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    for upstream in four_upstreams.values():
        upstream.always(LONG)
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        answer, again = await ask(gateway), await ask(gateway)
    assert answer.headers["x-thriftgate-review"] == "failed:count"
    assert (answer.headers["x-thriftgate-model"], answer.headers["x-thriftgate-attempts"]) == (MEDIUM, "2")
    assert again.headers["x-thriftgate-cache"] == "miss"
    assert not four_upstreams["anthropic"].requests


async def test_where_nobody_above_can_answer_the_first_answer_is_given(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["deepseek"].always(LONG)
    four_upstreams["openai"].always(loopback.Refuse(500))
    four_upstreams["anthropic"].always(loopback.Refuse(400))
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        answer = await ask(gateway)
        finished = await gateway.events.next(RequestFinished)
    assert said(answer) == LONG.text
    assert answer.headers["x-thriftgate-review"] == "failed:count"
    assert answer.headers["x-thriftgate-model"] == LIGHT
    assert (finished.cost_usd, finished.outcome) == (COST_USD[LIGHT], "ok")


async def test_a_broken_model_above_is_passed_over_for_the_next_one(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["deepseek"].always(LONG)
    four_upstreams["openai"].always(loopback.Refuse(500))
    four_upstreams["anthropic"].always(GOOD)
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        answer = await ask(gateway)
    assert answer.headers["x-thriftgate-review"] == "escalated:count"
    assert answer.headers["x-thriftgate-model"] == HEAVY


@pytest.mark.parametrize("limit", [{"tiers": ["light"]}, {"budget": {"usd": 0.0005}}])
async def test_what_the_service_may_not_use_or_pay_for_is_not_asked(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream], limit: dict[str, Any]
) -> None:
    four_upstreams["deepseek"].always(LONG)
    async with running(tmp_path, reviewing(four_providers, **limit)) as gateway:
        answer = await ask(gateway, max_tokens=20)
    assert answer.headers["x-thriftgate-review"] == "failed:count"
    assert "x-thriftgate-stepped-down" not in answer.headers
    assert not four_upstreams["openai"].requests + four_upstreams["anthropic"].requests


async def test_from_the_rung_cheaper_on_nothing_is_escalated(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["deepseek"].always(LONG)
    budget = {"usd": 0.01, "ladder": {"warn": None, "cheaper": 0.1, "local": None}}
    async with running(tmp_path, reviewing(four_providers, budget=budget)) as gateway:
        answer = await ask(gateway, max_tokens=20)
    assert answer.headers["x-thriftgate-review"] == "failed:count"
    assert not four_upstreams["openai"].requests


@pytest.mark.parametrize(
    ("review", "stream", "reviewed"),
    [("off", False, False), ("whole", True, False), ("buffered", True, True), ("buffered", False, True)],
)
async def test_the_mode_says_which_answers_are_looked_at(
    tmp_path: Path,
    four_providers: Config,
    four_upstreams: dict[str, loopback.Upstream],
    review: str,
    stream: bool,
    reviewed: bool,
) -> None:
    four_upstreams["deepseek"].always(LONG)
    four_upstreams["openai"].always(GOOD)
    async with running(tmp_path, reviewing(four_providers, review)) as gateway:
        answer = await ask(gateway, stream=stream)
    assert answer.headers.get("x-thriftgate-review") == ("escalated:count" if reviewed else None)
    assert ("large" in answer.text) != reviewed
    assert ("[DONE]" in answer.text) == stream


@pytest.mark.parametrize("model", ["auto:light", LIGHT])
async def test_what_was_asked_for_by_name_is_a_contract(
    tmp_path: Path, four_providers: Config, deepseek_upstream: loopback.Upstream, model: str
) -> None:
    deepseek_upstream.always(LONG)
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        answer = await ask(gateway, model=model)
    assert "x-thriftgate-review" not in answer.headers
    assert said(answer) == LONG.text


async def test_an_answer_nobody_looked_at_is_not_found_in_place_of_one_that_passed(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["deepseek"].always(LONG)
    four_upstreams["openai"].always(GOOD)
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        streamed = await ask(gateway, stream=True)
        whole = await ask(gateway)
    assert "large" in streamed.text
    assert (whole.headers["x-thriftgate-cache"], said(whole)) == ("miss", "It is Paris.")


async def test_who_joins_hears_the_same_and_pays_nothing(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    ticks = asyncio.Semaphore(0)
    four_upstreams["deepseek"].always(loopback.Gated(ticks, LONG))
    four_upstreams["openai"].always(GOOD)
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        asking = [asyncio.ensure_future(ask(gateway)) for _ in range(5)]
        await four_upstreams["deepseek"].arrival()
        for _ in range(1_000):
            ticks.release()
        answers = await asyncio.gather(*asking)
        metrics = (await gateway.http.get("/metrics")).text
    heard = [answer for answer in answers if answer.headers["x-thriftgate-cache"] != "hit"]
    assert {answer.headers["x-thriftgate-review"] for answer in heard} == {"escalated:count"}
    assert {said(answer) for answer in answers} == {"It is Paris."}
    assert len(four_upstreams["deepseek"].requests) == len(four_upstreams["openai"].requests) == 1
    assert 'thriftgate_reviews_total{check="count",result="escalated",service="shop"} 1.0' in metrics


@pytest.mark.parametrize("stalled", ["deepseek", "openai"])
async def test_a_client_that_leaves_meanwhile_pays_for_what_there_was_and_no_more(
    tmp_path: Path,
    four_providers: Config,
    four_upstreams: dict[str, loopback.Upstream],
    redis_url: str,
    stalled: str,
) -> None:
    """While the first answer is being taken, and while the one above is asked."""
    four_upstreams["deepseek"].always(LONG)
    four_upstreams[stalled].always(loopback.Stall(after_tokens=2))
    config = reviewing(four_providers, "buffered", budget={"usd": 1})
    async with running(tmp_path, config) as gateway:
        body = chat(QUESTION, stream=True)
        leaving = asyncio.ensure_future(gateway.http.post("/v1/chat/completions", json=body, headers=KEY))
        request = await four_upstreams[stalled].arrival()
        leaving.cancel()
        finished = await gateway.events.next(RequestFinished)
        await asyncio.wait_for(request.disconnected.wait(), 30)
        sums = await account_sums(redis_url, "shop")
    charged = {"settled_tokens": finished.usage.total_tokens, "settled_nano_usd": int(finished.cost_usd * 10**9)}
    assert finished.outcome == "client_disconnect"
    assert sums == {name: sum_ for name, sum_ in charged.items() if sum_}
    assert finished.usage.total_tokens >= (60 if stalled == "openai" else 0)
    assert len(four_upstreams["openai"].requests) == (stalled == "openai")


async def test_all_at_once_against_one_budget_overspend_nothing(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream], redis_url: str
) -> None:
    """Each light answer fails; above there is room for few."""
    four_upstreams["deepseek"].always(LONG)
    four_upstreams["openai"].always(GOOD)
    limit = 40 * COST_USD[LIGHT] + 5 * COST_USD[MEDIUM]
    config = reviewing(four_providers, budget={"usd": float(limit), "ladder": {"cheaper": None, "local": None}})
    async with running(tmp_path, config) as gateway:
        asked = [gateway.ask(f"{QUESTION} ({number})", "auto", KEY, max_tokens=20) for number in range(40)]
        answers = await asyncio.gather(*asked)
        finished = [await gateway.events.next(RequestFinished) for _ in range(40)]
        sums = await account_sums(redis_url, "shop")
    # Bounds are reserved, and 40 of them at once are more than what 40 answers cost: some may hear 429 first.
    reviews = {answer.headers["x-thriftgate-review"] for answer in answers if answer.status_code == 200}
    assert "failed:count" in reviews
    assert reviews <= {"escalated:count", "failed:count"}
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert "reserved_nano_usd" not in sums
    assert sums["settled_nano_usd"] == int(sum(event.cost_usd for event in finished) * 10**9) <= int(limit * 10**9)


async def test_a_check_that_is_not_wanted_stops_nothing(
    tmp_path: Path, four_providers: Config, deepseek_upstream: loopback.Upstream
) -> None:
    deepseek_upstream.always(LONG)
    config = reviewing(four_providers, {"mode": "whole", "without": ["count"]})
    async with running(tmp_path, config) as gateway:
        assert (await ask(gateway)).headers["x-thriftgate-review"] == "passed"


async def test_worked_sums_are_asked_about_where_a_service_wants_it(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["deepseek"].always(loopback.Answer("Perhaps 12, let's say, but some are unknown, about 77."))
    four_upstreams["openai"].always(loopback.Answer("3 * 60 = 180 in all.\n180 - 20 = 160 are left.\n#### 160"))
    config = reviewing(four_providers, {"mode": "whole", "arithmetic": 0.95})
    question = "Ann has 3 bags with 60 marbles each and loses 20. How many are left? Translate to French."
    async with running(tmp_path, config) as gateway:
        answer = await ask(gateway, question)
    assert answer.headers["x-thriftgate-review"] == "escalated:arithmetic"


async def test_while_there_are_no_services_the_general_review_holds(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["deepseek"].always(LONG)
    four_upstreams["openai"].always(GOOD)
    config = {**reviewing(four_providers), "services": [], "review": {"mode": "whole", "arithmetic": 0.9}}
    async with running(tmp_path, config) as gateway:
        answer = await gateway.ask(QUESTION)
    assert answer.headers["x-thriftgate-review"] == "escalated:count"


async def test_in_anthropics_api_the_header_is_the_same(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    four_upstreams["deepseek"].always(LONG)
    four_upstreams["openai"].always(GOOD)
    async with running(tmp_path, reviewing(four_providers)) as gateway:
        body = {**chat(QUESTION), "max_tokens": 100}
        headers = {"x-api-key": "sk-shop", "anthropic-version": "2023-06-01"}
        answer = await gateway.http.post("/v1/messages", json=body, headers=headers)
    assert answer.headers["x-thriftgate-review"] == "escalated:count"
    assert answer.json()["content"][0]["text"] == "It is Paris."

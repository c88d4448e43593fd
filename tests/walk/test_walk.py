"""The walk of a request over four strict providers: from bytes in to the one event out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from gateway.core.events import RequestFinished, Stored
from tests import loopback
from tests.fixtures.gateway import Config, chat, running

PINNED = ["llamacpp/tiny", "deepseek-flash", "gpt-6.1-terra", "anthropic/claude-opus-5-5"]


@pytest.mark.parametrize("model", PINNED)
async def test_every_provider_answers_whole(tmp_path: Path, four_providers: Config, model: str) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Where is the Eiffel tower?", model)
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "You said: Where is the Eiffel tower?"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"] > 0
    assert answer.headers["x-thriftgate-route-reason"] == "pinned"
    assert answer.headers["x-thriftgate-cache"] == "miss"


@pytest.mark.parametrize("model", PINNED)
async def test_every_provider_answers_the_sdk_as_a_stream(tmp_path: Path, four_providers: Config, model: str) -> None:
    async with running(tmp_path, four_providers) as gateway:
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Say it, data: [DONE] 🗼"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        await client.close()
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == "You said: Say it, data: [DONE] 🗼"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == len({chunk.model for chunk in chunks}) == 1
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == [
        "stop"
    ]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize("model", PINNED)
async def test_a_stream_that_did_not_ask_for_usage_shows_no_trace_of_it(
    tmp_path: Path, four_providers: Config, model: str
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", model, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines.count("data: [DONE]") == 1
    assert lines[-1] == "data: [DONE]"
    assert '"usage"' not in answer.text
    assert '"choices":[]' not in answer.text


async def test_auto_asks_the_tier_the_prompt_needs_and_says_why(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        light = await gateway.ask("Translate 'good morning' to French.")
        medium = await gateway.ask("Wombats dig at night.")
        heavy = await gateway.ask("Prove that the square root of two is irrational, by induction if you can.")
    assert [answer.headers["x-thriftgate-tier"] for answer in (light, medium, heavy)] == ["light", "medium", "heavy"]
    assert light.headers["x-thriftgate-model"] == "local"
    assert medium.headers["x-thriftgate-model"] == "gpt-6.1-terra"
    assert medium.headers["x-thriftgate-route-reason"] == "no signal"
    assert heavy.headers["x-thriftgate-provider"] == "anthropic"
    assert "proof" in heavy.headers["x-thriftgate-route-reason"]


async def test_the_same_question_again_is_a_hit_that_costs_nothing(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        first = await gateway.ask("Name a colour.", "gpt-6.1-terra")
        again = await gateway.ask("Name a colour.", "gpt-6.1-terra")
        streamed = await gateway.ask("Name a colour.", "gpt-6.1-terra", stream=True)
        told = [await gateway.events.next(RequestFinished) for _ in range(3)]
    assert len(openai_upstream.requests) == 1
    assert again.json() == first.json()
    assert [answer.headers["x-thriftgate-cache"] for answer in (first, again, streamed)] == ["miss", "hit", "hit"]
    assert Decimal(again.headers["x-thriftgate-cost-usd"]) == 0
    assert again.headers["x-thriftgate-saved-usd"] == first.headers["x-thriftgate-cost-usd"] != "0.000000000"
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert [event.cache for event in told] == ["miss", "hit", "hit"]


async def test_another_services_answer_is_never_served(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    services = [{"name": "a", "key": "key-a"}, {"name": "b", "key": "key-b"}]
    async with running(tmp_path, {**four_providers, "services": services}) as gateway:
        for key in ("key-a", "key-b"):
            answer = await gateway.ask("A secret?", "gpt-6.1-terra", {"authorization": f"Bearer {key}"})
            assert answer.headers["x-thriftgate-cache"] == "miss"
    assert len(openai_upstream.requests) == 2


async def test_the_cache_obeys_its_headers(tmp_path: Path, four_providers: Config) -> None:
    async def verdict(mode: str) -> str:
        answer = await gateway.ask("Hello", "gpt-6.1-terra", {"x-thriftgate-cache": mode})
        return answer.headers["x-thriftgate-cache"]

    async with running(tmp_path, four_providers) as gateway:
        assert await verdict("read-only") == "miss"
        assert await verdict("off") == "bypass"
        assert await verdict("refresh") == "refresh"
        await gateway.events.next(Stored)
        assert await verdict("on") == "hit"


async def test_an_unfinished_answer_is_not_stored(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Answer("half an ans", finish="length"))
    async with running(tmp_path, four_providers) as gateway:
        await gateway.ask("Tell me more", "gpt-6.1-terra")
        again = await gateway.ask("Tell me more", "gpt-6.1-terra")
    assert again.headers["x-thriftgate-cache"] == "miss"


async def test_a_whole_answer_costs_what_its_usage_says(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Count the words of this.", "gpt-6.1-terra")
        event = await gateway.events.next(RequestFinished)
    usage = answer.json()["usage"]
    # gpt-6.1-terra: $1 a million input tokens, $5 a million output tokens (genai-prices 0.2.3)
    cost_usd = (Decimal(1) * usage["prompt_tokens"] + Decimal(5) * usage["completion_tokens"]) / 1_000_000
    assert event.cost_usd == cost_usd
    assert answer.headers["x-thriftgate-cost-usd"] == f"{cost_usd:.9f}"


async def test_nothing_of_the_client_goes_upstream_but_its_request(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    headers = {"authorization": "Bearer client-key", "cookie": "session=1", "x-thriftgate-tags": "a", "x-custom": "b"}
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", "gpt-6.1-terra", headers, thriftgate={"cache": "off"})
    received = openai_upstream.requests[0]
    assert answer.status_code == 200
    assert received.headers["authorization"] == f"Bearer {openai_upstream.api_key}"
    assert not {"cookie", "x-thriftgate-tags", "x-custom"} & set(received.headers)
    assert "thriftgate" not in received.body


async def test_exactly_one_event_is_told_for_each_request(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        await gateway.ask("Hello", "gpt-6.1-terra")
        await gateway.ask("Hello", "no-such-model")
        await gateway.ask("Hello", "gpt-6.1-terra", stream=True)
    told = [event for event in gateway.events.told if isinstance(event, RequestFinished)]
    assert [event.status for event in told] == [200, 404, 200]
    assert [event.outcome for event in told] == ["ok", "client_error", "ok"]


async def test_models_are_listed_and_got_with_slashes(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        listed = (await gateway.http.get("/v1/models")).json()["data"]
        names = [row["id"] for row in listed]
        assert {"auto", "auto:heavy", "claude-opus-5-5", "anthropic/claude-opus-5-5", "llamacpp/tiny"} <= set(names)
        for path in ("anthropic/claude-opus-5-5", "anthropic%2Fclaude-opus-5-5", "auto:light"):
            assert (await gateway.http.get(f"/v1/models/{path}")).status_code == 200
        missing = await gateway.http.get("/v1/models/nope")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


async def test_the_body_may_be_the_sdks_own_dump_of_an_answer(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
        first = await client.chat.completions.create(**chat("Hello", "gpt-6.1-terra"))
        dumped = first.choices[0].message.model_dump()
        messages = [{"role": "user", "content": "Hello"}, dumped, {"role": "user", "content": "And again"}]
        second = await client.chat.completions.create(model="gpt-6.1-terra", messages=messages)
        await client.close()
    assert second.choices[0].message.content == "You said: And again"

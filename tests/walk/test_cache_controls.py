"""What a service, a request and an admin may say about the caches."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from gateway.core.events import RequestFinished, Stored
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running

TERRA = "gpt-6.1-terra"
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
CALLING = loopback.Answer(tool_calls=(loopback.ToolCall("get_weather", '{"city": "Paris"}', "call_1"),))
ADMIN = {"authorization": "Bearer admin"}


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer key-{name}"}


def two_services(config: Config, **terms: Any) -> Config:
    services = [{"name": name, "key": f"key-{name}", "cache": terms} for name in "ab"]
    return {**config, "server": {"admin_key": "admin"}, "services": services}


async def verdicts(gateway: Running, text: str = "Hello") -> list[str]:
    """Of the services a and b."""
    return [(await gateway.ask(text, TERRA, key(name))).headers["x-thriftgate-cache"] for name in "ab"]


async def delete(gateway: Running, headers: dict[str, str], **query: str) -> httpx.Response:
    return await gateway.http.delete("/v1/thriftgate/cache", params=query, headers=headers)


async def test_a_hit_names_its_key_and_its_age(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        miss = await gateway.ask("Hello", TERRA)
        hit = await gateway.ask("Hello", TERRA)
    assert "x-thriftgate-cache-key" not in miss.headers
    assert len(hit.headers["x-thriftgate-cache-key"]) == 64
    assert 0 <= int(hit.headers["x-thriftgate-cache-age"]) < 60


async def test_a_service_deletes_its_own_answer_by_key(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, two_services(four_providers)) as gateway:
        assert await verdicts(gateway) == ["miss", "miss"]
        named = (await gateway.ask("Hello", TERRA, key("a"))).headers["x-thriftgate-cache-key"]
        strangers = await delete(gateway, key("b"), key=named)
        assert (strangers.status_code, strangers.json()) == (200, {"deleted": 0})
        assert await verdicts(gateway) == ["hit", "hit"]
        assert (await delete(gateway, key("a"), key=named)).json() == {"deleted": 1}
        assert await verdicts(gateway) == ["miss", "hit"]


async def test_a_service_deletes_all_its_own_answers(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, two_services(four_providers)) as gateway:
        await verdicts(gateway)
        assert (await delete(gateway, key("a"), service="a")).json() == {"deleted": 1}
        assert await verdicts(gateway) == ["miss", "hit"]


@pytest.mark.parametrize("query", [{}, {"service": "b"}, {"service": "no such"}])
async def test_what_is_not_ones_own_only_the_admin_deletes(
    tmp_path: Path, four_providers: Config, query: dict[str, str]
) -> None:
    async with running(tmp_path, two_services(four_providers)) as gateway:
        await verdicts(gateway)
        refused = await delete(gateway, key("a"), **query)
        assert await verdicts(gateway) == ["hit", "hit"]
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "admin_only"


async def test_the_admin_deletes_a_services_answers_or_everybodys(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, two_services(four_providers)) as gateway:
        await verdicts(gateway)
        assert (await delete(gateway, ADMIN, service="b")).json() == {"deleted": 1}
        assert await verdicts(gateway) == ["hit", "miss"]
        assert (await delete(gateway, ADMIN)).json() == {"deleted": 2}
        assert await verdicts(gateway) == ["miss", "miss"]
        assert (await delete(gateway, ADMIN, service="nobody")).status_code == 404
        assert (await delete(gateway, ADMIN, service="a", key="k")).status_code == 400
        assert (await delete(gateway, {})).status_code == 401


async def test_deleting_reaches_answers_found_by_meaning(tmp_path: Path, four_providers: Config) -> None:
    semantic = {"embedder": {"engine": "onnx"}, "cache": {"semantic": {"deadline_ms": 60_000, "shadow_share": 0}}}
    asked, alike = "Name the capital city of France.", "Name the capital city of France, please."
    async with running(tmp_path, {**four_providers, **semantic}) as gateway:
        while (await gateway.http.get("/readyz")).status_code != 200:
            pass
        await gateway.ask(asked, TERRA)
        while (await gateway.events.next(Stored)).layer != "semantic":
            pass
        hit = await gateway.ask(alike, TERRA)
        assert hit.headers["x-thriftgate-cache"] == "semantic-hit"
        assert (await delete(gateway, {}, key=hit.headers["x-thriftgate-cache-key"])).json() == {"deleted": 1}
        assert (await gateway.ask(alike, TERRA)).headers["x-thriftgate-cache"] == "miss"


async def test_a_service_may_have_no_cache(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, two_services(four_providers, enabled=False)) as gateway:
        assert await verdicts(gateway) + await verdicts(gateway) == ["bypass"] * 4


async def test_a_service_has_a_time_to_live_of_its_own(tmp_path: Path, four_providers: Config, redis_url: str) -> None:
    async with running(tmp_path, two_services(four_providers, ttl_s=7)) as gateway:
        await verdicts(gateway)
    from redis.asyncio import Redis

    async with Redis.from_url(redis_url) as redis:
        ttls_s = [await redis.ttl(key) for key in await redis.keys("thriftgate:answer:*")]
    assert ttls_s
    assert all(0 < ttl_s <= 7 for ttl_s in ttls_s)


async def test_an_answer_with_tool_calls_is_stored_only_if_the_request_allows(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(CALLING)
    allowed = {"x-thriftgate-cache-tools": "true"}

    async def ask(headers: dict[str, str], **body: Any) -> httpx.Response:
        return await gateway.ask("Weather?", TERRA, headers, tools=[WEATHER], **body)

    async with running(tmp_path, four_providers) as gateway:
        said = [(await ask({})).headers["x-thriftgate-cache"] for _ in range(2)]
        first = await ask(allowed)
        again = await ask({}, thriftgate={"cache": {"tools": True}})
        strict = await ask({})
    assert said == ["miss", "miss"]
    assert [answer.headers["x-thriftgate-cache"] for answer in (first, again, strict)] == ["miss", "hit", "miss"]
    assert again.json() == first.json()


async def test_a_service_may_allow_tool_calls_for_all_its_requests(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(CALLING)
    async with running(tmp_path, two_services(four_providers, tools=True)) as gateway:
        answers = [await gateway.ask("Weather?", TERRA, key("a"), tools=[WEATHER]) for _ in range(2)]
    assert answers[1].headers["x-thriftgate-cache"] == "hit"


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_an_answer_that_did_not_end_by_itself_is_not_stored_even_with_tools(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, finish: Any
) -> None:
    openai_upstream.always(loopback.Answer("Half", finish=finish))
    async with running(tmp_path, four_providers) as gateway:
        allowed = {"x-thriftgate-cache-tools": "true"}
        answers = [await gateway.ask("Hello", TERRA, allowed) for _ in range(2)]
    assert [answer.headers["x-thriftgate-cache"] for answer in answers] == ["miss", "miss"]


@pytest.mark.parametrize("stored_as", ["stream", "whole"])
async def test_a_replay_parses_in_the_sdk_with_tool_calls_usage_and_reasoning(
    tmp_path: Path, four_providers: Config, deepseek_upstream: loopback.Upstream, stored_as: str
) -> None:
    deepseek_upstream.always(
        loopback.Answer("Let me look.", tool_calls=CALLING.tool_calls, reasoning="The user wants the weather.")
    )
    body = chat("Weather?", "deepseek-flash", tools=[WEATHER])
    async with running(tmp_path, four_providers) as gateway:
        client = AsyncOpenAI(
            base_url=f"{gateway.url}/v1",
            api_key="unused",
            max_retries=0,
            default_headers={"x-thriftgate-cache-tools": "true"},
        )
        if stored_as == "stream":
            _ = [chunk async for chunk in await client.chat.completions.create(**body, stream=True)]
        else:
            await client.chat.completions.create(**body)
        whole = await client.chat.completions.create(**body)
        async with client.chat.completions.stream(**body, stream_options={"include_usage": True}) as stream:
            streamed = await stream.get_final_completion()
        await client.close()
        told = [await gateway.events.next(RequestFinished) for _ in range(3)]
    assert [event.cache for event in told] == ["miss", "hit", "hit"]
    assert len(deepseek_upstream.requests) == 1
    for completion in (whole, streamed):
        message = completion.choices[0].message
        assert message.content == "Let me look."
        assert message.tool_calls is not None
        assert (message.tool_calls[0].id, message.tool_calls[0].function.arguments) == ("call_1", '{"city": "Paris"}')
        assert message.model_extra is not None
        assert message.model_extra["reasoning_content"] == "The user wants the weather."
        assert completion.choices[0].finish_reason == "tool_calls"
        assert completion.usage is not None
        assert completion.usage == whole.usage
        assert completion.usage.total_tokens > 0


async def test_two_tenants_in_one_stream_of_equal_prompts_never_have_each_others_answers(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, two_services(four_providers)) as gateway:
        asked = [gateway.ask(f"Question {at // 2 % 20}", TERRA, key("ab"[at % 2])) for at in range(200)]
        answers = await asyncio.gather(*asked)
        told = [await gateway.events.next(RequestFinished) for _ in range(200)]
    ids = [{answer.json()["id"] for answer in answers[at::2]} for at in (0, 1)]
    assert ids[0].isdisjoint(ids[1])
    assert len(openai_upstream.requests) == sum(event.cache == "miss" for event in told) == 40

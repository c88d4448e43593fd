"""What is refused before anything is asked: bad input, bad keys, spent budgets; always in OpenAI's shape."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from gateway.core.events import RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, chat, running

TERRA = "gpt-6.1-terra"
ERROR_FIELDS = {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{not json", None),
        (b"[]", None),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "model"),
        (b'{"model": "auto"}', "messages"),
        (b'{"model": "auto", "messages": []}', "messages"),
        (b'{"model": "auto", "messages": [{"role": "robot", "content": "x"}]}', "messages[0].role"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": 1}]}', "messages[0].content"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}', "stream"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0}', "max_tokens"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "max_tokens": NaN}', None),
        (b'{"model": "auto:vast", "messages": [{"role": "user", "content": "x"}]}', "model"),
        (
            b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "thriftgate": {"tier": "x"}}',
            "thriftgate.tier",
        ),
    ],
)
async def test_bad_input_names_the_field(
    tmp_path: Path, four_providers: Config, body: bytes, param: str | None
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.http.post("/v1/chat/completions", content=body)
    error = answer.json()["error"]
    assert 400 <= answer.status_code < 500
    assert set(error) == ERROR_FIELDS
    assert error["param"] == param
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/nope", 404),
        ("POST", "/nope", 404),
    ],
)
async def test_wrong_paths_and_verbs_are_in_openais_shape(
    tmp_path: Path, four_providers: Config, method: str, path: str, status: int
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == ERROR_FIELDS
    assert "x-request-id" in answer.headers


async def test_a_missing_or_wrong_key_is_a_401_the_sdk_knows(tmp_path: Path, four_providers: Config) -> None:
    services = [{"name": "shop", "key": "right"}]
    async with running(tmp_path, {**four_providers, "services": services}) as gateway:
        bare = await gateway.ask("Hello", TERRA)
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.chat.completions.create(**chat("Hello", TERRA))
        await client.close()
        by_header = await gateway.ask("Hello", TERRA, {"x-api-key": "right"})
    assert bare.status_code == 401
    assert refused.value.code == "invalid_api_key"
    assert refused.value.request_id is not None
    assert by_header.status_code == 200


async def test_the_list_of_files_is_empty_and_asks_for_a_key(tmp_path: Path, four_providers: Config) -> None:
    services = [{"name": "shop", "key": "right"}]
    async with running(tmp_path, {**four_providers, "services": services}) as gateway:
        refused = await gateway.http.get("/v1/files")
        listed = await gateway.http.get("/v1/files", headers={"authorization": "Bearer right"})
    assert refused.status_code == 401
    assert listed.json()["data"] == []


async def test_a_service_may_ask_only_for_what_it_lists(tmp_path: Path, four_providers: Config) -> None:
    services = [{"name": "shop", "key": "k", "models": ["auto:light", TERRA]}]
    headers = {"authorization": "Bearer k"}
    async with running(tmp_path, {**four_providers, "services": services}) as gateway:
        asked = [
            (await gateway.ask("Hi", model, headers)).status_code for model in (TERRA, f"openai/{TERRA}", "auto:light")
        ]
        refused = [(await gateway.ask("Hi", model, headers)).status_code for model in ("auto", "claude-opus-5-5")]
        listed = (await gateway.http.get("/v1/models", headers=headers)).json()["data"]
    assert asked == [200, 200, 200]
    assert refused == [403, 403]
    assert {row["id"] for row in listed} <= {"auto:light", TERRA, f"openai/{TERRA}"}


def budgeted(config: Config, **budget: Any) -> Config:
    return {**config, "services": [{"name": "shop", "key": "k", "budget": {"window": "month", **budget}}]}


async def test_a_spent_budget_is_a_429_but_hits_are_still_served(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    headers = {"authorization": "Bearer k"}
    async with running(tmp_path, budgeted(four_providers, tokens=700)) as gateway:
        first = await gateway.ask("Hello", TERRA, headers, max_tokens=400)
        refused = await gateway.ask("Something else", TERRA, headers, max_tokens=4_000)
        again = await gateway.ask("Hello", TERRA, headers, max_tokens=400)
    assert first.status_code == 200
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    assert int(refused.headers["retry-after"]) > 0
    assert again.headers["x-thriftgate-cache"] == "hit"
    assert len(openai_upstream.requests) == 1


async def test_a_free_model_is_used_when_the_dollars_are_spent(tmp_path: Path, four_providers: Config) -> None:
    headers = {"authorization": "Bearer k"}
    async with running(tmp_path, budgeted(four_providers, usd=0.000001)) as gateway:
        answer = await gateway.ask("Wombats dig at night.", "auto", headers)
        pinned = await gateway.ask("Wombats dig at night.", TERRA, headers)
    assert answer.headers["x-thriftgate-model"] == "local"
    assert pinned.status_code == 429


async def test_a_budgeted_request_always_has_an_output_limit(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, budgeted(four_providers, tokens=10_000)) as gateway:
        await gateway.ask("Hello", TERRA, {"authorization": "Bearer k"})
    assert openai_upstream.requests[0].body["max_completion_tokens"] == 4_096


@pytest.mark.parametrize("stream", [False, True])
async def test_two_hundred_at_once_never_overrun_a_budget_for_ten(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, stream: bool
) -> None:
    """A request can take at most about 500 tokens, so the budget holds ten of them; all wait until 150 are refused."""
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    config = budgeted(four_providers, tokens=5_000)
    headers = {"authorization": "Bearer k", "x-thriftgate-cache": "off"}
    async with running(tmp_path, config) as gateway:

        async def ask(at: int) -> int:
            answer = await gateway.ask(f"Question {at}", TERRA, headers, stream=stream, max_tokens=300)
            return answer.status_code

        asking = [asyncio.ensure_future(ask(at)) for at in range(200)]
        refused = [await gateway.events.next(RequestFinished) for _ in range(150)]
        for _ in range(2_000):
            ticks.release()
        statuses = await asyncio.gather(*asking)
        told = [event for event in gateway.events.told if isinstance(event, RequestFinished)]
    assert {event.error_code for event in refused} == {"insufficient_quota"}
    assert set(statuses) == {200, 429}
    assert sum(event.usage.total_tokens for event in told) <= 5_000
    assert len(openai_upstream.requests) == statuses.count(200)

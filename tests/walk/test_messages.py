"""Anthropic's own SDK in front of the gateway, over all four backends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, TextBlock, ToolUseBlock
from pydantic import BaseModel

from gateway.core.events import RequestFinished
from gateway.core.usage import Usage
from tests import loopback
from tests.fixtures.gateway import Config, Running, running
from tests.loopback.flavour import sse

MODELS = {
    "llamacpp": "local",
    "deepseek": "deepseek-flash",
    "openai": "gpt-6.1-terra",
    "anthropic": "claude-opus-5-5",
}
OLD = {"anthropic-version": "2023-06-01"}
NEW = {"anthropic-version": "2026-10-21"}
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@asynccontextmanager
async def client(folder: Path, config: Config, **how: Any) -> AsyncIterator[tuple[AsyncAnthropic, Running]]:
    """The SDK as users have it, without its retries."""
    async with (
        running(folder, config) as gateway,
        AsyncAnthropic(base_url=gateway.url, max_retries=0, **({"api_key": "unused"} | how)) as sdk,
    ):
        yield sdk, gateway


def asking(text: str, model: str = "claude-opus-5-5", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": text}], **more}


async def said(sdk: AsyncAnthropic, streamed: bool, **asked: Any) -> Message:
    """The message, created whole or put together by the SDK from its stream."""
    if not streamed:
        message: Message = await sdk.messages.create(**asked)
        return message
    async with sdk.messages.stream(**asked) as stream:
        return await stream.get_final_message()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", MODELS.values())
async def test_every_backend_answers_the_sdk(
    tmp_path: Path, four_providers: Config, model: str, streamed: bool
) -> None:
    async with client(tmp_path, four_providers) as (sdk, gateway):
        message = await said(sdk, streamed, **asking("Where is it, 🗼? data: [DONE]", model, system="Be short."))
        event = await gateway.events.next(RequestFinished)
    assert message.type == "message"
    assert message.role == "assistant"
    assert message.id == f"msg_{event.request_id.removeprefix('req_')}"
    assert isinstance(message.content[0], TextBlock)
    assert message.content[0].text == "You said: Where is it, 🗼? data: [DONE]"
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.input_tokens == event.usage.uncached_tokens > 0
    assert message.usage.output_tokens == event.usage.output_tokens > 0
    assert event.endpoint == "messages"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", MODELS)
async def test_text_and_a_tool_call_end_with_tool_use_and_keep_their_arguments(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream], kind: str, streamed: bool
) -> None:
    call = loopback.ToolCall("get_weather", '{"city": "New York", "days": [1, 2]}')
    four_upstreams[kind].script(loopback.Say(loopback.Answer("Let me look.", tool_calls=(call,))))
    async with client(tmp_path, four_providers) as (sdk, _):
        message = await said(sdk, streamed, **asking("Rain?", MODELS[kind], tools=[WEATHER]))
    text, use = message.content
    assert isinstance(text, TextBlock)
    assert isinstance(use, ToolUseBlock)
    assert text.text == "Let me look."
    assert (use.name, use.input) == ("get_weather", {"city": "New York", "days": [1, 2]})
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("model", MODELS.values())
async def test_a_tool_loop_goes_round(tmp_path: Path, four_providers: Config, model: str) -> None:
    async with client(tmp_path, four_providers) as (sdk, _):
        history = [
            {"role": "user", "content": "Rain in Rome and Paris?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I shall look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {"city": "Paris"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "dry"},
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": [], "is_error": True},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ]
        message = await said(sdk, False, **asking("", model, tools=[WEATHER]) | {"messages": history})
    assert isinstance(message.content[0], TextBlock)
    assert message.content[0].text == "You said: And now?"


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_a_picture_is_seen(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream], kind: str
) -> None:
    models = {name: {**row, "vision": True} for name, row in four_providers["models"].items()}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    content = [image, {"type": "text", "text": "What is it?"}]
    async with client(tmp_path, {**four_providers, "models": models}) as (sdk, _):
        await said(sdk, False, **asking("", MODELS[kind]) | {"messages": [{"role": "user", "content": content}]})
    assert PIXEL in json.dumps(four_upstreams[kind].requests[0].body)


@pytest.mark.parametrize("streamed", [False, True])
async def test_claudes_signed_thinking_comes_back_and_goes_up_again(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream, streamed: bool
) -> None:
    rows = four_providers["models"]
    config = {
        **four_providers,
        "models": {**rows, "claude-opus-5-5": rows["claude-opus-5-5"] | {"reasoning": "adaptive"}},
    }
    asked = asking("Think.", thinking={"type": "adaptive"}, output_config={"effort": "low"})
    async with client(tmp_path, config) as (sdk, _):
        first = await said(sdk, streamed, **asked)
        history = [*asked["messages"], first.to_param(), {"role": "user", "content": "Again."}]
        await said(sdk, streamed, **asked | {"messages": history})
    assert [block.type for block in first.content] == ["thinking", "text"]
    sent = anthropic_upstream.requests[1].body
    assert sent["thinking"] == {"type": "adaptive"}
    assert sent["output_config"] == {"effort": "low"}
    signed = {"type": "thinking", "thinking": "The user wants an echo.", "signature": "c2lnbmF0dXJl"}
    assert sent["messages"][1]["content"][0] == signed


@pytest.mark.parametrize("streamed", [False, True])
async def test_another_models_thinking_is_shown_only_to_who_asked(
    tmp_path: Path, four_providers: Config, streamed: bool
) -> None:
    async with client(tmp_path, four_providers) as (sdk, _):
        plain = await said(sdk, streamed, **asking("Hello", "deepseek-flash"))
        asked = asking("Hello", "deepseek-flash", thinking={"type": "enabled", "budget_tokens": 1024})
        shown = await said(sdk, streamed, **asked | {"max_tokens": 2000})
    assert [block.type for block in plain.content] == ["text"]
    assert [block.type for block in shown.content] == ["thinking", "text"]


async def test_cache_marks_and_counts_reach_anthropic_and_come_back(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream
) -> None:
    used = Usage(100, 5, cache_read_tokens=60, cache_write_tokens=30, cache_write_1h_tokens=20)
    counted = loopback.Answer("Yes.", usage=used)
    anthropic_upstream.always(loopback.Say(counted))
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "A long text.", "cache_control": mark}]
    async with client(tmp_path, four_providers) as (sdk, _):
        message = await said(sdk, True, **asking("Hi", system=system, tools=[{**WEATHER, "cache_control": mark}]))
    sent = anthropic_upstream.requests[0].body
    assert sent["system"][0]["cache_control"] == sent["tools"][0]["cache_control"] == mark
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (10, 60, 30)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_shared_with_chat_completions(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream, streamed: bool
) -> None:
    async with client(tmp_path, four_providers) as (sdk, gateway):
        asked = await gateway.ask("Name a colour.", "claude-opus-5-5", max_tokens=500)
        message = await said(sdk, streamed, **asking("Name a colour."))
    assert asked.status_code == 200
    assert isinstance(message.content[0], TextBlock)
    assert message.content[0].text == "You said: Name a colour."
    assert message.usage.output_tokens == asked.json()["usage"]["completion_tokens"]
    assert len(anthropic_upstream.requests) == 1


class Place(BaseModel):
    city: str


@pytest.mark.parametrize("kind", MODELS)
async def test_an_answer_in_a_schema_is_parsed(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream], kind: str
) -> None:
    four_upstreams[kind].script(loopback.Say(loopback.Answer('{"city": "Rome"}')))
    async with client(tmp_path, four_providers) as (sdk, _):
        asked: Any = asking("Where?", MODELS[kind])
        message = await sdk.messages.parse(**asked, output_format=Place)
    assert message.parsed_output == Place(city="Rome")


async def test_the_beta_client_is_served_as_well(tmp_path: Path, four_providers: Config) -> None:
    async with client(tmp_path, four_providers) as (sdk, _):
        asked: Any = asking("Hello", "gpt-6.1-terra", betas=["context-management-2025-06-27"])
        message = await sdk.beta.messages.create(**asked, context_management={"edits": []})
    assert message.content[0].type == "text"


async def test_auto_and_tiers_work_here_too(tmp_path: Path, four_providers: Config) -> None:
    async with client(tmp_path, four_providers) as (sdk, gateway):
        await said(sdk, False, **asking("Translate 'good morning' to French.", "auto"))
        await said(sdk, False, **asking("Hello", "auto:heavy"))
        told = [await gateway.events.next(RequestFinished) for _ in range(2)]
    assert [event.model for event in told] == ["local", "claude-opus-5-5"]


@pytest.mark.parametrize("how", [{"api_key": "right"}, {"api_key": None, "auth_token": "right"}])
async def test_both_forms_of_the_key_are_taken(tmp_path: Path, four_providers: Config, how: dict[str, Any]) -> None:
    config = {**four_providers, "services": [{"name": "shop", "key": "right"}]}
    async with client(tmp_path, config, **how) as (sdk, gateway):
        await said(sdk, False, **asking("Hello"))
        both = {"x-api-key": "right", "authorization": "Bearer wrong", **OLD}
        won = await gateway.http.post("/v1/messages", json=asking("Hello"), headers=both)
        bare = await gateway.http.post("/v1/messages", json=asking("Hello"), headers=OLD)
    assert won.status_code == 200
    assert bare.status_code == 401
    assert bare.json()["type"] == "error"
    assert bare.json()["error"]["type"] == "authentication_error"
    assert bare.json()["request_id"] == bare.headers["request-id"] == bare.headers["x-request-id"]


async def test_the_old_version_takes_sampling_parameters_and_the_new_one_refuses_them(
    tmp_path: Path, four_providers: Config
) -> None:
    body = asking("Hello", "deepseek-flash", temperature=1.0)
    async with client(tmp_path, four_providers) as (_, gateway):
        old = await gateway.http.post("/v1/messages", json=body, headers=OLD)
        new = await gateway.http.post("/messages", json=body, headers=NEW)
        none = await gateway.http.post("/v1/messages", json=body)
        odd = await gateway.http.post("/v1/messages", json=body, headers={"anthropic-version": "2020-01-01"})
    assert old.status_code == 200
    assert new.json()["error"] == {
        "type": "invalid_request_error",
        "message": "temperature: Extra inputs are not permitted",
    }
    assert none.json()["error"]["message"] == "anthropic-version: header is required"
    assert [answer.status_code for answer in (new, none, odd)] == [400, 400, 400]


async def test_errors_are_those_the_sdk_knows(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream
) -> None:
    config = {**four_providers, "upstream": {"attempts_per_model": 1}}
    async with client(tmp_path, config) as (sdk, gateway):
        with pytest.raises(anthropic.NotFoundError) as unknown:
            await said(sdk, False, **asking("Hello", "claude-nope"))
        anthropic_upstream.script(loopback.Refuse(529))
        with pytest.raises(anthropic.InternalServerError) as overloaded:
            await said(sdk, False, **asking("Hello"))
        anthropic_upstream.script(loopback.rate_limited(7))
        with pytest.raises(anthropic.RateLimitError) as limited:
            await said(sdk, True, **asking("Hello"))
        wrong = await gateway.http.get("/v1/messages")
    assert unknown.value.request_id is not None
    assert limited.value.response.headers["retry-after"] == "7"
    assert overloaded.value.status_code == 503
    assert wrong.status_code == 405
    assert wrong.json()["type"] == "error"


async def test_a_stream_that_breaks_ends_in_an_error_event_and_no_message_stop(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Cut(after_tokens=2))
    async with client(tmp_path, four_providers) as (sdk, gateway):
        with pytest.raises(anthropic.APIStatusError):
            await said(sdk, True, **asking("Hello there", "gpt-6.1-terra"))
        raw = await gateway.http.post(
            "/v1/messages", json=asking("Hello there", "gpt-6.1-terra", stream=True), headers=OLD
        )
    last = raw.text.strip().split("\n\n")[-1]
    assert raw.status_code == 200
    assert last.startswith("event: error\ndata: ")
    assert "message_stop" not in raw.text


async def test_tokens_are_counted_here_and_said_to_be_an_estimate(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream
) -> None:
    async with client(tmp_path, four_providers) as (sdk, gateway):
        asked = {key: value for key, value in asking("Hello there, world").items() if key != "max_tokens"}
        counted = await sdk.messages.with_raw_response.count_tokens(**asked)
        longer = await sdk.messages.count_tokens(**asked, tools=[WEATHER], system="Be short.")
        unknown = await gateway.http.post("/v1/messages/count_tokens", json=asked | {"model": "x"}, headers=OLD)
    assert counted.headers["x-thriftgate-estimated"] == "true"
    assert 4 <= (await counted.parse()).input_tokens < 20 < longer.input_tokens
    assert unknown.status_code == 404
    assert anthropic_upstream.requests == []


async def test_a_hint_that_nobody_can_take_is_named_or_refused_when_strict(
    tmp_path: Path, four_providers: Config
) -> None:
    async with client(tmp_path, four_providers) as (_, gateway):
        body = asking("Hello", service_tier="standard_only")
        answer = await gateway.http.post("/v1/messages", json=body, headers=NEW)
        strict = await gateway.http.post("/v1/messages", json=body, headers={**NEW, "x-thriftgate-strict": "true"})
    assert "service_tier" in answer.headers["x-thriftgate-dropped-params"].split(",")
    assert strict.status_code == 400
    assert "service_tier" in strict.json()["error"]["message"]


async def test_tool_calls_that_cannot_be_told_in_this_api_are_an_upstream_error(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    fragments = [(0, "a", "{"), (1, "b", "{"), (0, None, "}")]
    calls = [{"index": at, "id": id, "function": {"name": "f", "arguments": said}} for at, id, said in fragments]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]} for call in calls]
    body = b"".join(sse(chunk) for chunk in chunks)
    openai_upstream.always(loopback.Respond(200, body, {"content-type": "text/event-stream"}))
    async with client(tmp_path, four_providers) as (_, gateway):
        asked = asking("Rain?", "gpt-6.1-terra", stream=True, tools=[WEATHER])
        answer = await gateway.http.post("/v1/messages", json=asked, headers=OLD)
        event = await gateway.events.next(RequestFinished)
    assert answer.text.strip().split("\n\n")[-1].startswith("event: error")
    assert (event.outcome, event.error_code) == ("upstream_error", "upstream_malformed")

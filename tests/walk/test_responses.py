"""OpenAI's SDK asking the Responses API, over all four backends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseFunctionToolCall

from gateway.core.events import RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, Running, running

MODELS = {
    "llamacpp": "local",
    "deepseek": "deepseek-flash",
    "openai": "gpt-6.1-terra",
    "anthropic": "claude-opus-5-5",
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "name": "get_weather", "description": "The weather", "parameters": PARAMETERS}


@asynccontextmanager
async def client(folder: Path, config: Config) -> AsyncIterator[tuple[AsyncOpenAI, Running]]:
    async with (
        running(folder, config) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as sdk,
    ):
        yield sdk, gateway


async def answered(sdk: AsyncOpenAI, streamed: bool, **asked: Any) -> Response:
    """The response, created whole or as the last event of a stream that the SDK's accumulator has accepted."""
    if not streamed:
        response: Response = await sdk.responses.create(**asked)
        return response
    async with sdk.responses.stream(**asked) as stream:
        events: list[Any] = [event async for event in stream]
    last: Response = events[-1].response
    return last


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", MODELS.values())
async def test_every_backend_answers_the_sdk(
    tmp_path: Path, four_providers: Config, model: str, streamed: bool
) -> None:
    async with client(tmp_path, four_providers) as (sdk, gateway):
        asked = {"model": model, "input": "Where, 🗼?", "instructions": "Be short.", "max_output_tokens": 500}
        response = await answered(sdk, streamed, **asked, store=True, metadata={"a": "b"})
        event = await gateway.events.next(RequestFinished)
    assert response.output_text == "You said: Where, 🗼?"
    assert response.id == f"resp_{event.request_id.removeprefix('req_')}"
    assert (response.object, response.status, response.error) == ("response", "completed", None)
    assert (response.instructions, response.max_output_tokens, response.metadata) == ("Be short.", 500, {"a": "b"})
    assert response.model_dump()["store"] is False
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    assert response.usage.output_tokens == event.usage.output_tokens
    assert event.endpoint == "responses"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", MODELS)
async def test_a_function_is_called_and_its_output_answered(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream], kind: str, streamed: bool
) -> None:
    calls = tuple(loopback.ToolCall("get_weather", json.dumps({"city": city})) for city in ("Rome", "New York"))
    four_upstreams[kind].script(loopback.Say(loopback.Answer("Let me look.", tool_calls=calls)))
    async with client(tmp_path, four_providers) as (sdk, _):
        asked: dict[str, Any] = {"model": MODELS[kind], "input": [{"role": "user", "content": "Rain?"}]}
        first = await answered(sdk, streamed, **asked, tools=[WEATHER])
        called = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
        outputs = [{"type": "function_call_output", "call_id": item.call_id, "output": "dry"} for item in called]
        history = [*asked["input"], *(item.model_dump() for item in first.output), *outputs]
        history.append({"role": "user", "content": [{"type": "input_text", "text": "And now?"}]})
        second = await answered(sdk, streamed, **asked | {"input": history}, tools=[WEATHER])
    assert first.output_text == "Let me look."
    assert [(item.name, json.loads(item.arguments)) for item in called] == [
        ("get_weather", {"city": "Rome"}),
        ("get_weather", {"city": "New York"}),
    ]
    assert len({item.call_id for item in called}) == 2
    assert second.output_text == "You said: And now?"


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_a_schema_is_followed(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream], kind: str
) -> None:
    schema = {**PARAMETERS, "additionalProperties": False}
    wanted: Any = {"format": {"type": "json_schema", "name": "place", "schema": schema, "strict": True}}
    async with client(tmp_path, four_providers) as (sdk, _):
        response = await answered(sdk, False, model=MODELS[kind], input="Rome", text=wanted)
    assert set(json.loads(response.output_text)) == {"city"}
    assert response.text is not None
    assert response.text.format is not None
    assert response.text.format.type == "json_schema"


async def test_events_are_numbered_and_in_the_apis_order(tmp_path: Path, four_providers: Config) -> None:
    async with client(tmp_path, four_providers) as (sdk, gateway):
        stream = await sdk.responses.create(model="deepseek-flash", input="Hi", stream=True)
        events = [event async for event in stream]
        raw = await gateway.http.post("/v1/responses", json={"model": "local", "input": "Hi", "stream": True})
    assert [event.sequence_number for event in events] == list(range(len(events)))
    names = [event.type for event in events if not event.type.endswith(".delta")]
    item = ["response.output_item.added", "response.content_part.added"]
    closed = ["response.content_part.done", "response.output_item.done"]
    assert names == [
        "response.created",
        "response.in_progress",
        *[*item, "response.reasoning_text.done", *closed],
        *[*item, "response.output_text.done", *closed],
        "response.completed",
    ]
    assert "[DONE]" not in raw.text
    assert raw.text.startswith("event: response.created\ndata: ")


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_cut_by_its_limit_is_incomplete(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, streamed: bool
) -> None:
    openai_upstream.always(loopback.Say(loopback.Answer("half an ans", finish="length")))
    async with client(tmp_path, four_providers) as (sdk, _):
        response = await answered(sdk, streamed, model="gpt-6.1-terra", input="Hi", max_output_tokens=16)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_state_is_refused_by_name(tmp_path: Path, four_providers: Config) -> None:
    async with client(tmp_path, four_providers) as (sdk, _):
        with pytest.raises(openai.BadRequestError) as refused:
            await answered(sdk, False, model="local", input="Hi", previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"
    assert "`input`" in refused.value.message


async def test_a_failure_before_the_first_chunk_is_a_status_and_after_it_an_event(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    config = {**four_providers, "upstream": {"attempts_per_model": 1}}
    openai_upstream.script(loopback.Cut(after_tokens=1), loopback.rate_limited(3))
    asked: dict[str, Any] = {"model": "gpt-6.1-terra", "input": "Hello there", "stream": True}
    async with client(tmp_path, config) as (sdk, _):
        stream: Any = await sdk.responses.create(**asked)
        events = [event async for event in stream]
        with pytest.raises(openai.RateLimitError):
            await sdk.responses.create(**asked)
    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "failed"
    assert events[-1].response.error.code == "server_error"
    assert "response.completed" not in [event.type for event in events]


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_shared_with_chat_completions(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, streamed: bool
) -> None:
    async with client(tmp_path, four_providers) as (sdk, gateway):
        await gateway.ask("Name a colour.", "gpt-6.1-terra")
        response = await answered(sdk, streamed, model="gpt-6.1-terra", input="Name a colour.")
    assert response.output_text == "You said: Name a colour."
    assert len(openai_upstream.requests) == 1


async def test_token_probabilities_come_with_the_text(tmp_path: Path, four_providers: Config) -> None:
    async with client(tmp_path, four_providers) as (sdk, _):
        asked: dict[str, Any] = {"model": "local", "input": "Hi", "include": ["message.output_text.logprobs"]}
        whole = await answered(sdk, False, **asked)
        streamed = await answered(sdk, True, **asked | {"input": "Hi "})
    for response in (whole, streamed):
        part = response.model_dump()["output"][0]["content"][0]
        assert "".join(likely["token"] for likely in part["logprobs"]) == part["text"] == response.output_text

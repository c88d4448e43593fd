"""Checks 22, 23 and 60 on the other two surfaces: Anthropic's messages and OpenAI's responses, from any provider."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from anthropic.types import Message

from tests import loopback
from tests.checks.case import Case, keyed, streamed, whole

USER: Any = {"role": "user", "content": "Hello there"}
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PARIS = loopback.ToolCall("weather", '{"city": "Paris"}')
SAID = "You said: Hello there"


@asynccontextmanager
async def claude(case: Case, **how: Any) -> AsyncIterator[AsyncAnthropic]:
    """Anthropic's SDK in front of the same gateway."""
    plain = DefaultAsyncHttpxClient(verify=False, trust_env=False)
    given = {"api_key": "unused", **how}
    async with AsyncAnthropic(base_url=case.gateway.url, max_retries=0, http_client=plain, **given) as sdk:
        yield sdk


async def message(case: Case, sdk: AsyncAnthropic, **more: Any) -> Message:
    """Created whole, or put together by the SDK from its stream."""
    asked = {"model": case.model, "max_tokens": 500, "messages": [USER], **more}
    if not case.streamed:
        created: Message = await sdk.messages.create(**asked)
        return created
    async with sdk.messages.stream(**asked) as stream:
        return await stream.get_final_message()


async def test_22_messages_end_with_tool_use(case: Case) -> None:
    case.upstream.always(loopback.Answer("Let me look.", (PARIS,)))
    async with claude(case) as sdk:
        answer = await message(case, sdk, tools=[{"name": "weather", "input_schema": SCHEMA}])
    assert answer.stop_reason == "tool_use"
    assert [block.type for block in answer.content] == ["text", "tool_use"]


async def test_23_messages_keep_the_tools_input(case: Case) -> None:
    rome = loopback.ToolCall("weather", '{"city": "Rome"}')
    case.upstream.always(loopback.Answer(tool_calls=(PARIS, rome)))
    async with claude(case) as sdk:
        answer = await message(case, sdk, tools=[{"name": "weather", "input_schema": SCHEMA}])
    assert [block.input for block in answer.content if block.type == "tool_use"] == [
        {"city": "Paris"},
        {"city": "Rome"},
    ]


@streamed
async def test_23_the_input_comes_as_json_deltas(case: Case) -> None:
    case.upstream.always(loopback.Answer(tool_calls=(PARIS,)))
    async with claude(case) as sdk:
        asked: Any = {"model": case.model, "max_tokens": 500, "messages": [USER], "stream": True}
        stream = await sdk.messages.create(**asked, tools=[{"name": "weather", "input_schema": SCHEMA}])
        deltas = [event.delta for event in [event async for event in stream] if event.type == "content_block_delta"]
    parts = [delta.partial_json for delta in deltas if delta.type == "input_json_delta"]
    assert json.loads("".join(parts)) == {"city": "Paris"}


@keyed
@pytest.mark.parametrize("how", [{"api_key": "key-a"}, {"auth_token": "key-a", "api_key": None}], ids=["key", "token"])
@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
async def test_60_messages_take_both_keys_and_both_versions(case: Case, how: Any, version: str) -> None:
    async with claude(case, **how) as sdk:
        answer = await message(case, sdk, extra_headers={"anthropic-version": version})
    assert [block.text for block in answer.content if block.type == "text"] == [SAID]
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0


@keyed
async def test_60_messages_refuse_in_anthropics_shape(case: Case) -> None:
    async with claude(case, api_key="wrong") as sdk:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await message(case, sdk)
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "error"


@whole
async def test_60_a_response_is_created(case: Case) -> None:
    answer = await case.sdk.responses.create(model=case.model, input="Hello there")
    assert answer.output_text == SAID
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


@streamed
async def test_60_a_responses_events_are_numbered(case: Case) -> None:
    stream = await case.sdk.responses.create(model=case.model, input="Hello there", stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SAID


async def test_60_a_response_calls_a_function(case: Case) -> None:
    case.upstream.always(loopback.Answer(tool_calls=(PARIS,)))
    tools: Any = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    if case.streamed:
        async with case.sdk.responses.stream(model=case.model, input="Paris?", tools=tools) as stream:
            output: Any = (await stream.get_final_response()).output
    else:
        output = (await case.sdk.responses.create(model=case.model, input="Paris?", tools=tools)).output
    [call] = [item for item in output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "Paris"}
    assert call.call_id


@whole
async def test_60_a_response_that_is_not_kept_cannot_be_continued(case: Case) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await case.sdk.responses.create(model=case.model, input="And?", previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from gateway.core.usage import Usage
from tests.loopback import Answer, ToolCall, Upstream
from tests.loopback.asking import ask, events

USER = {"role": "user", "content": "Hello there"}
ASKED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
}
ANSWERED = {"role": "tool", "tool_call_id": "call_1", "content": "noon"}
TOOLS = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]
LAX = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
STRICT_FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": LAX}}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "gpt-5.4-mini", "messages": [USER], **changes}


@pytest.mark.parametrize(
    ("changes", "status", "param", "code"),
    [
        ({"cache": True}, 400, "cache", "unknown_parameter"),
        ({"model": ""}, 400, None, None),
        ({"model": "claude-opus-5"}, 404, None, "model_not_found"),
        ({"messages": None}, 400, "messages", "missing_required_parameter"),
        ({"messages": []}, 400, "messages", "empty_array"),
        ({"messages": [{"role": "human", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "messages[0].content", None),
        (
            {"messages": [USER, {"role": "assistant", "content": "x", "reasoning_content": "y"}, USER]},
            400,
            "messages[1].reasoning_content",
            "unknown_parameter",
        ),
        ({"messages": [USER, ASKED, USER]}, 400, "messages.[2].role", None),
        ({"messages": [USER, ASKED]}, 400, "messages.[2].role", None),
        ({"messages": [USER, ANSWERED]}, 400, "messages.[1].role", None),
        ({"max_tokens": 5}, 400, "max_tokens", "unsupported_parameter"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, 400, "max_tokens", None),
        ({"max_completion_tokens": 0}, 400, "max_completion_tokens", "integer_below_min_value"),
        ({"temperature": 0.2}, 400, "temperature", "unsupported_value"),
        ({"model": "gpt-4.1", "temperature": 3}, 400, "temperature", "decimal_above_max_value"),
        ({"logprobs": True}, 400, "logprobs", "unsupported_parameter"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", None),
        ({"tool_choice": "auto"}, 400, "tool_choice", None),
        ({"parallel_tool_calls": False}, 400, "parallel_tool_calls", None),
        ({"tools": []}, 400, "tools", "empty_array"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            400,
            "tools[0].function.name",
            "invalid_value",
        ),
        ({"response_format": {"type": "json_object"}}, 400, "messages", None),
        ({"response_format": STRICT_FORMAT}, 400, "response_format", None),
        ({"stop": list("abcde")}, 400, "stop", "array_above_max_length"),
    ],
)
async def test_it_refuses_what_openai_refuses(
    openai_upstream: Upstream, changes: dict[str, Any], status: int, param: str | None, code: str | None
) -> None:
    response = await ask(openai_upstream, body(**changes))
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (status, param, code), error
    assert error["type"] == "invalid_request_error"
    assert len(openai_upstream.refusals) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"max_completion_tokens": 5},
        {"model": "gpt-4.1", "max_tokens": 5, "temperature": 0.2},
        {"messages": [USER, ASKED, ANSWERED]},
        {"temperature": 0.2, "reasoning_effort": "none"},
        {
            "messages": [{"role": "developer", "content": "Answer in json"}, USER],
            "response_format": {"type": "json_object"},
        },
        {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False},
    ],
)
async def test_it_accepts_what_openai_accepts(openai_upstream: Upstream, changes: dict[str, Any]) -> None:
    assert (await ask(openai_upstream, body(**changes))).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"), [({}, None), ({"authorization": "Bearer sk-wrong-key-0000"}, "invalid_api_key")]
)
async def test_a_missing_or_wrong_key_is_401(
    openai_upstream: Upstream, headers: dict[str, str], code: str | None
) -> None:
    response = await ask(openai_upstream, body(), headers)
    assert (response.status_code, response.json()["error"]["code"]) == (401, code)


async def test_a_body_that_is_not_json_is_400(openai_upstream: Upstream) -> None:
    assert (await ask(openai_upstream, b"{oops")).status_code == 400


async def test_the_stream_and_the_whole_answer_say_and_cost_the_same(openai_upstream: Upstream) -> None:
    whole = (await ask(openai_upstream, body())).json()
    streamed = await ask(openai_upstream, body(stream=True, stream_options={"include_usage": True}))
    chunks = events(streamed)
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert text == whole["choices"][0]["message"]["content"] == "You said: Hello there"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    assert whole["usage"]["completion_tokens"] == openai_upstream.requests[-1].produced_tokens == 4
    assert streamed.text.endswith("data: [DONE]\n\n")


async def test_a_stream_has_no_usage_unless_it_is_asked_for(openai_upstream: Upstream) -> None:
    chunks = events(await ask(openai_upstream, body(stream=True)))
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


async def test_the_limit_is_kept_and_said(openai_upstream: Upstream) -> None:
    answer = (await ask(openai_upstream, body(max_completion_tokens=2))).json()
    assert answer["choices"][0]["message"]["content"] == "You said:"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


async def test_a_chosen_usage_is_reported_as_it_is(openai_upstream: Upstream) -> None:
    openai_upstream.script(Answer("hi", usage=Usage(100, 20, cache_read_tokens=64, reasoning_tokens=8)))
    usage = (await ask(openai_upstream, body())).json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 64
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 8


async def test_every_choice_is_answered_and_billed(openai_upstream: Upstream) -> None:
    answer = (await ask(openai_upstream, body(n=2))).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert answer["usage"]["completion_tokens"] == 8


async def test_the_sdk_reads_its_streamed_tool_calls(openai_upstream: Upstream) -> None:
    calls = (ToolCall("a", '{"x": "one two"}'), ToolCall("b"))
    openai_upstream.script(Answer("Let me see.", calls))
    async with (
        openai.AsyncOpenAI(base_url=openai_upstream.base_url, api_key=openai_upstream.api_key) as client,
        client.chat.completions.stream(model="gpt-5.4-mini", messages=[{"role": "user", "content": "Go"}]) as stream,
    ):
        message = (await stream.get_final_completion()).choices[0].message
    got = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]
    assert got == [("a", {"x": "one two"}), ("b", {})]
    assert message.content == "Let me see."


async def test_the_sdk_reads_its_embeddings_in_base64(openai_upstream: Upstream) -> None:
    async with openai.AsyncOpenAI(base_url=openai_upstream.base_url, api_key=openai_upstream.api_key) as client:
        answer = await client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=4)
    assert [len(row.embedding) for row in answer.data] == [4, 4]
    assert openai_upstream.requests[0].body["encoding_format"] == "base64"


async def test_a_forced_tool_gets_arguments_that_fit_its_schema(openai_upstream: Upstream) -> None:
    tool = {"name": "save", "parameters": {"type": "object", "properties": {"note": {"type": "string"}}}}
    choice = {"type": "function", "function": {"name": "save"}}
    changes = {"tools": [*TOOLS, {"type": "function", "function": tool}], "tool_choice": choice}
    answer = (await ask(openai_upstream, body(**changes))).json()
    call = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("save", {"note": "Hello there"})

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from gateway.core.usage import Usage
from tests.loopback import Answer, ToolCall, Upstream
from tests.loopback.asking import ask, events

USER = {"role": "user", "content": "Hello there"}
SAID = {"role": "assistant", "content": "Hi"}
ASKED = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}]}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "noon"}
TOOLS = [{"name": "now", "input_schema": {"type": "object"}}]
MARKED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}


def body(**changes: Any) -> dict[str, Any]:
    given = {"model": "claude-haiku-4-5", "max_tokens": 4096, "messages": [USER], **changes}
    return {name: value for name, value in given.items() if value is not ...}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 2}, "n: Extra inputs are not permitted"),
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"max_tokens": 200_000}, "maximum allowed number of output tokens"),
        ({"metadata": {"team": "x"}}, "metadata.team: Extra inputs"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "system", "content": "x"}]}, 'Unexpected role "system"'),
        ({"messages": [SAID, USER]}, "first message"),
        ({"messages": [USER, USER]}, "roles must alternate"),
        ({"messages": [USER, {"role": "assistant", "content": ""}, USER]}, "non-empty content"),
        ({"messages": [user({"type": "text", "text": " "})]}, "text content blocks must be non-empty"),
        ({"messages": [{**USER, "name": "x"}]}, "messages.0.name: Extra inputs"),
        ({"messages": [user({"type": "image_url"})]}, "Input tag 'image_url'"),
        ({"messages": [USER, ASKED, USER]}, "without `tool_result` blocks immediately after: toolu_1"),
        ({"messages": [USER, ASKED]}, "without `tool_result` blocks"),
        ({"messages": [user(RESULT)]}, "unexpected `tool_use_id`"),
        ({"messages": [USER, ASKED, user({"type": "text", "text": "x"}, RESULT)]}, "must come before other content"),
        ({"messages": [USER, {**ASKED, "content": [{**ASKED["content"][0], "id": "a.b"}]}]}, "should match pattern"),  # type: ignore[dict-item]  # blocks, not text
        ({"model": "claude-sonnet-4-6", "messages": [USER, SAID]}, "does not support assistant message prefill"),
        ({"messages": [USER, {**SAID, "content": "Hi "}]}, "trailing whitespace"),
        ({"model": "claude-opus-4-7", "temperature": 1}, "`temperature` is deprecated for this model."),
        ({"model": "claude-sonnet-5", "top_k": 1}, "`top_k` is deprecated for this model."),
        ({"temperature": 1.5}, "range: 0..1"),
        ({"temperature": 1, "top_p": 0.5}, "cannot both be specified"),
        ({"stop_sequences": ["\n"]}, "non-whitespace"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "must be greater than `thinking.budget_tokens`"),
        ({"model": "claude-opus-5", "thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.type.adaptive"),
        (
            {"thinking": {"type": "adaptive"}, "tools": TOOLS, "tool_choice": {"type": "any"}},
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        ({"tool_choice": {"type": "auto"}}, "only be specified while providing tools"),
        ({"tools": [{"name": "x", "input_schema": {}}]}, "input_schema.type"),
        ({"tools": [{**TOOLS[0], "parameters": {}}]}, "parameters: Extra inputs"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "'additionalProperties' must be explicitly set to false",
        ),
        ({"system": [MARKED] * 5}, "Found 5"),
    ],
)
async def test_it_refuses_what_anthropic_refuses(
    anthropic_upstream: Upstream, changes: dict[str, Any], words: str
) -> None:
    response = await ask(anthropic_upstream, body(**changes))
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [USER, SAID, USER], "temperature": 0.3, "system": "Be brief."},
        {"messages": [USER, ASKED, user(RESULT, {"type": "text", "text": "Well?"})], "tools": TOOLS},
        {"messages": [USER, SAID]},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"model": "claude-opus-5", "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ],
)
async def test_it_accepts_what_anthropic_accepts(anthropic_upstream: Upstream, changes: dict[str, Any]) -> None:
    assert (await ask(anthropic_upstream, body(**changes))).status_code == 200


async def test_an_unknown_model_is_404(anthropic_upstream: Upstream) -> None:
    assert (await ask(anthropic_upstream, body(model="gpt-5.4-mini"))).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}])
async def test_a_missing_or_wrong_key_is_401(anthropic_upstream: Upstream, headers: dict[str, str]) -> None:
    response = await ask(anthropic_upstream, body(), {"anthropic-version": "2023-06-01", **headers})
    assert (response.status_code, response.json()["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("version", [{}, {"anthropic-version": "2024-01-01"}])
async def test_a_missing_or_unknown_version_is_400(anthropic_upstream: Upstream, version: dict[str, str]) -> None:
    response = await ask(anthropic_upstream, body(), {"x-api-key": anthropic_upstream.api_key, **version})
    assert response.status_code == 400
    assert "anthropic-version" in response.json()["error"]["message"]


async def test_the_new_version_refuses_sampling_and_takes_a_bearer_token(anthropic_upstream: Upstream) -> None:
    headers = {"authorization": f"Bearer {anthropic_upstream.api_key}", "anthropic-version": "2026-10-21"}
    assert (await ask(anthropic_upstream, body(), headers)).status_code == 200
    refused = await ask(anthropic_upstream, body(temperature=1), headers)
    assert refused.json()["error"]["message"] == "temperature: Extra inputs are not permitted"


async def test_cached_tokens_are_counted_apart_from_input_tokens(anthropic_upstream: Upstream) -> None:
    anthropic_upstream.script(Answer("hi", usage=Usage(100, 5, cache_read_tokens=60, cache_write_tokens=30)))
    usage = (await ask(anthropic_upstream, body())).json()["usage"]
    counts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert [usage[name] for name in counts] == [10, 60, 30]


async def test_a_stop_sequence_is_named(anthropic_upstream: Upstream) -> None:
    answer = (await ask(anthropic_upstream, body(stop_sequences=["there"]))).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "there")


async def test_a_stream_ends_with_message_stop(anthropic_upstream: Upstream) -> None:
    sent = events(await ask(anthropic_upstream, body(stream=True)))
    assert sent[0]["type"] == "message_start"
    assert sent[-1] == {"type": "message_stop"}
    assert sent[-2]["usage"]["output_tokens"] == anthropic_upstream.requests[0].produced_tokens == 4


async def test_the_sdk_reads_thinking_text_and_tool_calls_from_its_stream(anthropic_upstream: Upstream) -> None:
    anthropic_upstream.script(Answer("Let me see.", (ToolCall("now", '{"x": 1}'), ToolCall("b", "")), "Hmm, yes."))
    asked: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Go"}]
    async with (
        anthropic.AsyncAnthropic(base_url=anthropic_upstream.base_url, api_key=anthropic_upstream.api_key) as client,
        client.messages.stream(model="claude-haiku-4-5", max_tokens=100, messages=asked) as stream,
    ):
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"x": 1}, {}]
    assert message.stop_reason == "tool_use"

"""DeepSeek: where it differs from OpenAI."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.chunks import assemble
from gateway.core.errors import UnsupportedParameter, UpstreamOverloaded
from gateway.core.usage import Usage
from gateway.dialects.deepseek import DeepSeek
from tests.dialects.asking import CALL, USER, encode, sent
from tests.dialects.cassette import play, read

DEEPSEEK = DeepSeek()


def test_developer_messages_are_sent_as_system_messages() -> None:
    body = sent(DEEPSEEK, messages=[{"role": "developer", "content": "x"}, USER, {"role": "developer", "content": "y"}])
    assert [message["role"] for message in body["messages"]] == ["system", "user", "system"]


def test_text_parts_are_sent_as_one_string() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]
    assert sent(DEEPSEEK, messages=[{"role": "user", "content": parts}])["messages"][0]["content"] == "a\nb"


def test_a_tool_call_sent_back_always_carries_reasoning_content() -> None:
    without = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    kept = {**without, "reasoning_content": "I must look."}
    nulled = {**without, "reasoning_content": None}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
    body = sent(DEEPSEEK, messages=[USER, without, result, kept, result, nulled, result])
    thoughts = [m["reasoning_content"] for m in body["messages"] if m["role"] == "assistant"]
    assert thoughts == ["", "I must look.", ""]


def test_an_answer_without_tool_calls_gets_no_reasoning_content() -> None:
    body = sent(DEEPSEEK, messages=[USER, {"role": "assistant", "content": "a"}, USER])
    assert body["messages"][1] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("minimal", "low"), ("low", "low"), ("medium", "high"), ("high", "high"), ("xhigh", "high"), ("max", "max")],
)
def test_effort_is_mapped_to_the_three_levels_as_their_guide_maps_it(asked: str, expected: str) -> None:
    assert sent(DEEPSEEK, reasoning_effort=asked)["reasoning_effort"] == expected


def test_an_effort_nobody_knows_is_dropped_and_named() -> None:
    assert encode(DEEPSEEK, reasoning_effort="utmost").dropped == ("reasoning_effort",)


def test_no_effort_turns_thinking_off_unless_the_client_said_otherwise() -> None:
    body = sent(DEEPSEEK, reasoning_effort="none")
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in body
    thinking = {"type": "enabled"}
    assert sent(DEEPSEEK, reasoning_effort="none", thinking=thinking)["thinking"] == thinking


def test_more_than_one_choice_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        encode(DEEPSEEK, n=2)
    assert caught.value.param == "n"
    assert "n" not in sent(DEEPSEEK, n=1)


def test_a_json_schema_is_always_emulated() -> None:
    schema = {"type": "object"}
    body = sent(DEEPSEEK, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    assert body["response_format"] == {"type": "json_object"}
    assert orjson.dumps(schema).decode() in body["messages"][0]["content"]


@pytest.mark.parametrize(
    "answer", [DEEPSEEK.decode(read("deepseek/chat.json")), assemble(play(DEEPSEEK, [read("deepseek/chat.sse")]))]
)
def test_cache_hits_are_cached_tokens(answer: dict[str, Any]) -> None:
    usage = Usage.from_openai(answer["usage"])
    assert (usage.input_tokens, usage.cache_read_tokens, usage.uncached_tokens) == (130, 128, 2)
    assert usage.reasoning_tokens == 9
    assert not any(key.startswith("prompt_cache") for key in answer["usage"])


def test_blank_lines_before_a_queued_answer_are_tolerated() -> None:
    assert read("deepseek/chat.json").startswith(b"\n\n")
    message = DEEPSEEK.decode(read("deepseek/chat.json"))["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("你好，世界", "A greeting.")


def test_a_tool_call_of_a_whole_answer_has_no_stream_index() -> None:
    (call,) = DEEPSEEK.decode(read("deepseek/tools.json"))["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "call_00_x", "type": "function", "function": {"name": "now", "arguments": "{}"}}


def test_an_answer_broken_off_for_lack_of_resources_is_an_error_and_no_answer() -> None:
    with pytest.raises(UpstreamOverloaded) as caught:
        play(DEEPSEEK, [read("deepseek/no_resources.sse")])
    assert caught.value.reached
    whole = read("deepseek/chat.json").replace(b'"stop"', b'"insufficient_system_resource"')
    with pytest.raises(UpstreamOverloaded):
        DEEPSEEK.decode(whole)

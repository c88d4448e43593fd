"""What the gateway does in a provider's place, on whole answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.errors import InvalidRequest, UnsupportedParameter, UpstreamSchemaMismatch
from gateway.dialects.deepseek import DeepSeek
from gateway.dialects.emulation import (
    ANSWER_TOOL,
    call_schema,
    calling,
    first_call_only,
    following,
    forced_functions,
    unwrapped,
)
from gateway.dialects.llamacpp import LlamaCpp
from tests.dialects.asking import USER, WEATHER, encode

CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "parameters": CITY}
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}


def answer(content: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 1}}


def call(name: str, arguments: str, id: str = "call_1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("written", ['{"city":"Paris"}', '```json\n{"city":"Paris"}\n```', '\n{"city":"Paris"}'])
def test_an_answer_that_follows_is_kept_without_its_fence(written: str) -> None:
    assert following(CITY)(answer(written)) == answer('{"city":"Paris"}')


@pytest.mark.parametrize("written", ["Paris", '{"town":"Paris"}', '{"city":7}', "", None])
def test_an_answer_that_does_not_follow_is_an_error_that_says_schema(written: str | None) -> None:
    with pytest.raises(UpstreamSchemaMismatch) as caught:
        following(CITY)(answer(written))
    assert "did not match the JSON schema" in caught.value.message
    assert (caught.value.status, caught.value.reached, caught.value.try_again) == (502, True, True)


@pytest.mark.parametrize("finish", ["length", "content_filter", "tool_calls"])
def test_an_answer_that_did_not_end_by_itself_is_left_to_its_finish_reason(finish: str) -> None:
    cut = answer('{"city":"Par', finish)
    assert following(CITY)(cut) == cut


def test_a_refusal_is_no_mismatch() -> None:
    refused = answer(None, refusal="No.")
    assert following(CITY)(refused) == refused


def test_the_helper_tool_never_reaches_a_client() -> None:
    called = answer(None, "tool_calls", tool_calls=[call(ANSWER_TOOL, '{"city":"Paris"}')])
    assert unwrapped(CITY)(called) == answer('{"city":"Paris"}')
    cut = answer(None, "length", tool_calls=[call(ANSWER_TOOL, '{"city":"Pa')])
    assert unwrapped(CITY)(cut) == answer('{"city":"Pa', "length")


def test_a_written_call_becomes_a_tool_call() -> None:
    mended = calling([FUNCTION])(answer('{"name": "get_weather", "arguments": {"city": "Paris"}}'))
    (choice,) = mended["choices"]
    (made,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert made["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    assert made["id"].startswith("call_")


def test_every_choice_has_a_call_of_its_own() -> None:
    first = answer('{"name": "get_weather", "arguments": {"city": "Rome"}}')
    second = {**first["choices"][0], "index": 1}
    mended = calling([FUNCTION])({**first, "choices": [first["choices"][0], second]})
    assert len({choice["message"]["tool_calls"][0]["id"] for choice in mended["choices"]}) == 2


@pytest.mark.parametrize(
    "written", ["prose", "{}", '{"name": "other", "arguments": {}}', '{"name": "get_weather", "arguments": {}}']
)
def test_no_call_or_a_wrong_one_is_an_error(written: str) -> None:
    with pytest.raises(UpstreamSchemaMismatch):
        calling([FUNCTION])(answer(written))


def test_a_call_cut_off_is_no_call() -> None:
    (choice,) = calling([FUNCTION])(answer('{"name": "get_w', "length"))["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", None)
    assert "tool_calls" not in choice["message"]


def test_only_the_first_of_parallel_calls_stays() -> None:
    calls = [call("a", "{}", "1"), call("b", "{}", "2")]
    assert first_call_only(answer(None, "tool_calls", tool_calls=calls)) == answer(
        None, "tool_calls", tool_calls=calls[:1]
    )
    assert first_call_only(answer("x")) == answer("x")


def test_forced_functions_are_all_the_named_or_the_allowed_ones() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    tools = {"tools": [WEATHER, other]}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [other]}}
    names = [
        [function["name"] for function in forced_functions({**tools, "tool_choice": choice})]
        for choice in ("required", other, allowed)
    ]
    assert names == [["get_weather", "other"], ["other"], ["other"]]
    with pytest.raises(InvalidRequest):
        forced_functions({**tools, "tool_choice": {"type": "function", "function": {"name": "absent"}}})
    with pytest.raises(UnsupportedParameter):
        forced_functions({"tools": [{"type": "custom", "custom": {"name": "x"}}], "tool_choice": "required"})


def test_definitions_of_parameters_move_to_the_root_they_are_referred_to_from() -> None:
    parameters = {"type": "object", "properties": {"c": {"$ref": "#/$defs/City"}}, "$defs": {"City": CITY}}
    schema = call_schema([{"name": "f", "parameters": parameters}, {"name": "g"}])
    assert schema["$defs"] == {"City": CITY}
    assert [one["properties"]["name"] for one in schema["anyOf"]] == [{"const": "f"}, {"const": "g"}]
    assert "$defs" not in schema["anyOf"][0]["properties"]["arguments"]


def test_llamacpp_is_asked_for_a_forced_call_as_a_schema() -> None:
    facts = {"tools": False, "forced_tools": "emulated"}
    request = encode(LlamaCpp(), facts=facts, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False)
    body = orjson.loads(request.body)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["name"] == {"const": "get_weather"}
    assert "get_weather" in body["messages"][0]["content"]
    assert request.mend is not None
    assert request.dropped == ()


def test_a_model_without_tools_gets_none_when_none_may_be_called() -> None:
    body = orjson.loads(encode(LlamaCpp(), facts={"tools": False}, tools=[WEATHER], tool_choice="none").body)
    assert body["messages"] == [USER]
    assert not {"tools", "tool_choice"} & body.keys()


def test_deepseek_holds_an_answer_to_the_schema_it_cannot_be_held_to() -> None:
    request = encode(DeepSeek(), response_format=FORMAT)
    assert request.mend is not None
    with pytest.raises(UpstreamSchemaMismatch):
        request.mend(answer('{"echo": "hi"}'))


def test_deepseek_keeps_one_call_where_parallel_calls_are_not_wanted() -> None:
    request = encode(DeepSeek(), facts={"parallel_tools": False}, tools=[WEATHER], parallel_tool_calls=False)
    assert "parallel_tool_calls" not in orjson.loads(request.body)
    assert request.mend is not None


def test_a_forced_tool_at_deepseek_turns_thinking_off_and_names_what_that_dropped() -> None:
    request = encode(DeepSeek(), tools=[WEATHER], tool_choice="required", reasoning_effort="high")
    assert orjson.loads(request.body)["thinking"] == {"type": "disabled"}
    assert request.dropped == ("reasoning_effort",)
    assert encode(DeepSeek(), tools=[WEATHER], tool_choice="required").dropped == ()
    asked = encode(DeepSeek(), tools=[WEATHER], tool_choice="required", thinking={"type": "enabled"})
    assert asked.dropped == ("thinking",)


def test_a_schema_that_is_none_is_refused_before_anything_is_sent() -> None:
    broken = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "objekt"}}}
    with pytest.raises(InvalidRequest) as caught:
        encode(DeepSeek(), response_format=broken)
    assert caught.value.param == "response_format"

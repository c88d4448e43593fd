"""What Anthropic is asked: messages, tools, limits, and what cannot be asked of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import UnsupportedParameter
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.anthropic_messages import tool_id
from gateway.dialects.anthropic_options import FALLBACK_MAX_TOKENS
from gateway.dialects.emulation import ANSWER_TOOL
from tests.dialects.asking import CALL, PNG, USER, WEATHER, encode, sent

ANTHROPIC = Anthropic()
SYSTEM = {"role": "system", "content": "a"}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
ASSISTANT_CALL = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def turns(*messages: dict[str, Any], **asked: Any) -> Any:
    return sent(ANTHROPIC, messages=list(messages), **asked)["messages"]


def refused(**asked: Any) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        encode(ANTHROPIC, **asked)
    return caught.value.param


def test_the_api_version_is_pinned_and_the_key_is_x_api_key() -> None:
    assert ANTHROPIC.credentials("k") == {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    assert ANTHROPIC.credentials(None) == {"anthropic-version": "2023-06-01"}


def test_the_smallest_request_is_a_message_with_a_limit() -> None:
    request = encode(ANTHROPIC)
    assert request.path == "/v1/messages"
    assert orjson.loads(request.body) == {
        "model": "upstream-model",
        "max_tokens": FALLBACK_MAX_TOKENS,
        "stream": False,
        "messages": [{"role": "user", "content": [text("Hi")]}],
    }


def test_the_limit_is_the_clients_ours_or_the_models_own() -> None:
    assert sent(ANTHROPIC, facts={"max_output_tokens": 64_000})["max_tokens"] == 64_000
    assert sent(ANTHROPIC, max_completion_tokens=9)["max_tokens"] == 9
    assert sent(ANTHROPIC, max_tokens=9, ours=5)["max_tokens"] == 5


def test_leading_system_messages_become_system_blocks_and_later_ones_keep_their_place() -> None:
    developer = {"role": "developer", "content": [text("b")]}
    body = sent(ANTHROPIC, messages=[SYSTEM, developer, USER, {"role": "system", "content": "c"}])
    assert body["system"] == [text("a"), text("b")]
    assert body["messages"] == [{"role": "user", "content": [text("Hi"), text("<system>c</system>")]}]


def test_a_conversation_of_system_messages_only_is_a_user_turn() -> None:
    body = sent(ANTHROPIC, messages=[SYSTEM])
    assert body["messages"] == [{"role": "user", "content": [text("a")]}]
    assert "system" not in body


def test_the_default_system_message_is_sent_when_there_is_none() -> None:
    assert sent(ANTHROPIC, facts={"default_system": "d"})["system"] == [text("d")]


def test_neighbours_of_one_role_are_merged_and_empty_messages_left_out() -> None:
    empty = {"role": "assistant", "content": " \n"}
    assert turns(USER, empty, {"role": "user", "content": "again"}) == [
        {"role": "user", "content": [text("Hi"), text("again")]}
    ]


def test_a_conversation_that_opens_with_the_assistant_gets_a_user_turn_first() -> None:
    greeting = {"role": "assistant", "content": "Hello!"}
    assert [turn["role"] for turn in turns(greeting, USER)] == ["user", "assistant", "user"]


def test_cache_marks_pass() -> None:
    mark = {"type": "ephemeral"}
    part = {**text("long"), "cache_control": mark}
    tool = {**WEATHER, "cache_control": mark}
    body = sent(ANTHROPIC, messages=[{"role": "system", "content": [part]}, USER], tools=[tool], cache_control=mark)
    assert body["system"] == [part]
    assert body["tools"][0]["cache_control"] == mark
    assert body["cache_control"] == mark


def test_a_run_of_tool_results_is_one_user_turn_before_the_users_text() -> None:
    second = {**CALL, "id": "call_2"}
    result = {"role": "tool", "tool_call_id": "call_2", "content": [text("x"), text("y")]}
    late = {"role": "system", "content": "be quick"}
    conversation = turns(
        USER, {**ASSISTANT_CALL, "tool_calls": [CALL, second]}, late, RESULT, result, USER, tools=[WEATHER]
    )
    assert conversation[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_2", "name": "get_weather", "input": {"a": 1}},
    ]
    assert conversation[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": [text("ok")]},
        {"type": "tool_result", "tool_use_id": "call_2", "content": [text("x"), text("y")]},
        text("<system>be quick</system>"),
        text("Hi"),
    ]


def test_an_empty_tool_result_is_a_result_without_content() -> None:
    conversation = turns(USER, ASSISTANT_CALL, {**RESULT, "content": ""}, tools=[WEATHER])
    assert conversation[2]["content"] == [{"type": "tool_result", "tool_use_id": "call_1"}]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", {}), (None, {}), ("{}", {}), ("[1]", {"arguments": [1]}), ("{a", {"arguments": "{a"})],
)
def test_arguments_become_an_object_whatever_a_model_wrote(arguments: str | None, expected: dict[str, Any]) -> None:
    call = {**CALL, "function": {"name": "get_weather", "arguments": arguments}}
    conversation = turns(USER, {**ASSISTANT_CALL, "tool_calls": [call]}, RESULT, tools=[WEATHER])
    assert conversation[1]["content"][0]["input"] == expected


def test_foreign_tool_ids_are_rewritten_alike_in_both_places() -> None:
    call, result = {**CALL, "id": "functions.f:0"}, {**RESULT, "tool_call_id": "functions.f:0"}
    conversation = turns(USER, {**ASSISTANT_CALL, "tool_calls": [call]}, result, tools=[WEATHER])
    assert conversation[1]["content"][0]["id"] == conversation[2]["content"][0]["tool_use_id"]


@given(st.lists(st.text(max_size=8), min_size=2, max_size=6, unique=True))
def test_rewritten_ids_are_accepted_and_stay_different(ids: list[str]) -> None:
    rewritten = [tool_id(id) for id in ids]
    assert all(id and all(c.isascii() and (c.isalnum() or c in "_-") for c in id) for id in rewritten)
    assert len(set(rewritten)) == len(ids)


def test_a_history_with_calls_but_no_tools_declares_them_and_forbids_their_use() -> None:
    body = sent(ANTHROPIC, messages=[USER, ASSISTANT_CALL, RESULT])
    assert body["tools"] == [{"name": "get_weather", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


def test_tools_are_mapped_with_an_object_schema() -> None:
    bare = {"type": "function", "function": {"name": "now", "strict": True}}
    assert sent(ANTHROPIC, tools=[WEATHER, bare])["tools"] == [
        {
            "name": "get_weather",
            "description": "The weather",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
        {"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True},
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", None, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("auto", True, {"type": "auto"}),
    ],
)
def test_tool_choice_and_parallel_calls(choice: Any, parallel: bool | None, expected: Any) -> None:
    body = sent(ANTHROPIC, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == expected


def test_allowed_tools_leave_only_those_tools() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}
    body = sent(ANTHROPIC, tools=[WEATHER, other], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["name"] for tool in body["tools"]] == ["other"]
    assert body["tool_choice"] == {"type": "any"}


def test_without_tools_there_is_no_tool_choice() -> None:
    assert not {"tools", "tool_choice"} & sent(ANTHROPIC, tools=[], parallel_tool_calls=False).keys()


def image(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


def test_images_come_by_value_or_by_https() -> None:
    (turn,) = turns(image(PNG), image("https://example.org/a.png"))
    assert turn["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
    ]


@pytest.mark.parametrize("url", ["http://example.org/a.png", "data:image/tiff;base64,aGk=", "data:image/png,x", ""])
def test_other_images_are_refused_by_their_place(url: str) -> None:
    assert refused(messages=[USER, image(url)]) == "messages[1].content[0]"


def test_a_pdf_is_a_document() -> None:
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}
    (turn,) = turns({"role": "user", "content": [{"type": "file", "file": file}]})
    source = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}
    assert turn["content"] == [{"type": "document", "source": source, "title": "a.pdf"}]


@pytest.mark.parametrize(
    "part",
    [{"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {"file_id": "file-1"}}, {"type": "new"}],
)
def test_parts_without_counterpart_are_refused_by_their_place(part: dict[str, Any]) -> None:
    assert refused(messages=[{"role": "user", "content": [part]}]) == "messages[0].content[0]"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("audio", {"voice": "x"}),
        ("modalities", ["text", "audio"]),
        ("functions", [{"name": "f"}]),
        ("web_search_options", {}),
    ],
)
def test_what_changes_meaning_and_has_no_counterpart_is_refused_by_name(field: str, value: Any) -> None:
    assert refused(**{field: value}) == field


def test_custom_tools_are_refused_by_name() -> None:
    assert refused(tools=[{"type": "custom", "custom": {"name": "x"}}]) == "tools[0].type"
    choice = {"type": "custom", "custom": {"name": "x"}}
    assert refused(tools=[WEATHER], tool_choice=choice) == "tool_choice"
    assert refused(messages=[USER, {"role": "function", "name": "f", "content": "x"}]) == "messages[1].role"


def test_values_that_ask_for_nothing_are_neither_refused_nor_reported() -> None:
    neutral: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "modalities": ["text"],
        "store": False,
        "presence_penalty": 0,
        "seed": None,
    }
    assert encode(ANTHROPIC, **neutral).dropped == ()


def test_hints_are_dropped_and_named_and_never_forwarded() -> None:
    hints: dict[str, Any] = {
        "seed": 7,
        "logit_bias": {"1": 2},
        "frequency_penalty": 0.5,
        "service_tier": "flex",
        "brand_new": 1,
    }
    request = encode(ANTHROPIC, **hints)
    assert request.dropped == tuple(hints)
    assert orjson.loads(request.body).keys() == {"model", "max_tokens", "stream", "messages"}


def test_the_user_is_forwarded_and_metadata_stays_with_us() -> None:
    request = encode(ANTHROPIC, user="u1", metadata={"team": "x"})
    assert orjson.loads(request.body)["metadata"] == {"user_id": "u1"}
    assert request.dropped == ()


def test_temperature_ends_at_one_and_excludes_top_p() -> None:
    request = encode(ANTHROPIC, temperature=1.7, top_p=0.9)
    body = orjson.loads(request.body)
    assert body["temperature"] == 1
    assert "top_p" not in body
    assert request.dropped == ("top_p",)
    assert sent(ANTHROPIC, top_p=0.9)["top_p"] == 0.9


def test_sampling_is_dropped_and_named_where_the_model_refuses_it() -> None:
    request = encode(ANTHROPIC, facts={"sampling": False}, temperature=1, top_p=1)
    assert request.dropped == ("temperature", "top_p")
    assert not {"temperature", "top_p"} & orjson.loads(request.body).keys()


def test_stop_sequences_of_white_space_are_dropped_and_named() -> None:
    request = encode(ANTHROPIC, stop=["END", "\n"])
    assert orjson.loads(request.body)["stop_sequences"] == ["END"]
    assert request.dropped == ("stop",)
    assert sent(ANTHROPIC, stop="END")["stop_sequences"] == ["END"]


ADAPTIVE = {"reasoning": "adaptive"}
BUDGET = {"reasoning": "budget"}


def test_effort_on_an_adaptive_model() -> None:
    body = sent(ANTHROPIC, facts=ADAPTIVE, reasoning_effort="minimal")
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": "low"}
    assert not {"thinking", "output_config"} & sent(ANTHROPIC, facts=ADAPTIVE, reasoning_effort="none").keys()


def test_effort_on_a_model_with_a_budget_stays_below_the_limit() -> None:
    ample = sent(ANTHROPIC, facts=BUDGET, reasoning_effort="medium")
    assert ample["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    small = sent(ANTHROPIC, facts=BUDGET, reasoning_effort="high", max_tokens=3000)
    assert small["thinking"]["budget_tokens"] == 1500
    request = encode(ANTHROPIC, facts=BUDGET, reasoning_effort="high", max_tokens=1000)
    assert request.dropped == ("reasoning_effort",)
    assert "thinking" not in orjson.loads(request.body)


def test_thinking_drops_sampling_and_yields_to_a_forced_tool() -> None:
    assert encode(ANTHROPIC, facts=ADAPTIVE, reasoning_effort="high", temperature=0).dropped == ("temperature",)
    request = encode(ANTHROPIC, facts=ADAPTIVE, reasoning_effort="high", tools=[WEATHER], tool_choice="required")
    assert request.dropped == ("reasoning_effort",)
    assert "thinking" not in orjson.loads(request.body)


def test_thoughts_go_back_in_front_of_their_turn_only_while_thinking() -> None:
    thought = {"type": "thinking", "thinking": "t", "signature": "s"}
    history = [USER, {**ASSISTANT_CALL, "thinking_blocks": [thought]}, RESULT]
    conversation = turns(*history, facts=BUDGET, reasoning_effort="high", tools=[WEATHER])
    assert conversation[1]["content"][0] == thought
    assert turns(*history, tools=[WEATHER])[1]["content"][0]["type"] == "tool_use"


def test_a_tool_loop_that_lost_its_thoughts_goes_on_without_a_budget() -> None:
    request = encode(
        ANTHROPIC, facts=BUDGET, reasoning_effort="high", tools=[WEATHER], messages=[USER, ASSISTANT_CALL, RESULT]
    )
    assert request.dropped == ("reasoning_effort",)
    later = [USER, ASSISTANT_CALL, RESULT, {"role": "assistant", "content": "done"}, USER]
    assert encode(ANTHROPIC, facts=BUDGET, reasoning_effort="high", tools=[WEATHER], messages=later).dropped == ()


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def test_a_json_schema_is_native_with_closed_objects() -> None:
    body = sent(ANTHROPIC, facts=ADAPTIVE, reasoning_effort="low", response_format=JSON_SCHEMA)
    closed = {
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "(minimum: 3)"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": closed}}


def test_json_is_asked_for_in_the_prompt_where_there_is_no_mode() -> None:
    assert "JSON" in sent(ANTHROPIC, response_format={"type": "json_object"})["system"][0]["text"]
    facts = {"json_schema": "emulated", "forced_tools": False}
    emulated = sent(ANTHROPIC, facts=facts, messages=[SYSTEM, USER], response_format=JSON_SCHEMA)
    assert emulated["system"][0] == text("a")
    assert orjson.dumps(SCHEMA).decode() in emulated["system"][1]["text"]
    assert "output_config" not in sent(ANTHROPIC, response_format={"type": "text"})


def test_a_json_schema_is_a_forced_tool_on_models_without_the_native_mode() -> None:
    request = encode(ANTHROPIC, facts={"json_schema": "emulated"}, response_format=JSON_SCHEMA)
    body = orjson.loads(request.body)
    assert body["tools"] == [{"name": ANSWER_TOOL, "description": "Your answer.", "input_schema": SCHEMA}]
    assert body["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL}
    assert request.mend is not None
    beside_tools = encode(ANTHROPIC, facts={"json_schema": "emulated"}, response_format=JSON_SCHEMA, tools=[WEATHER])
    assert [tool["name"] for tool in orjson.loads(beside_tools.body)["tools"]] == ["get_weather"]


def test_a_model_that_always_thinks_is_asked_for_little_where_none_was_wished() -> None:
    facts = {**ADAPTIVE, "efforts": ("low", "medium", "high", "xhigh", "max")}
    request = encode(ANTHROPIC, facts=facts, reasoning_effort="none")
    assert orjson.loads(request.body)["output_config"] == {"effort": "low"}
    assert request.dropped == ("reasoning_effort",)
    assert sent(ANTHROPIC, facts=facts, reasoning_effort="xhigh")["output_config"] == {"effort": "xhigh"}


def test_a_begun_answer_is_continued_without_trailing_space_or_refused() -> None:
    begun = {"role": "assistant", "content": "The answer is "}
    assert turns(USER, begun)[1]["content"] == [text("The answer is")]
    assert refused(facts={"prefill": False}, messages=[USER, begun]) == "messages"

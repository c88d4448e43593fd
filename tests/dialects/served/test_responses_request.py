"""A Responses request as a chat request: what is mapped, dropped and refused."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.chat import parse_chat
from gateway.core.errors import InvalidRequest
from gateway.dialects.served.responses import read_responses
from gateway.dialects.served.responses_input import to_messages
from gateway.dialects.served.responses_request import to_chat

FLAT = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
CALL = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "f",
    "arguments": "{}",
    "id": "fc_1",
    "status": "completed",
}
NESTED = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "dry"}


def mapped(**body: Any) -> dict[str, Any]:
    return to_chat({"model": "auto", "input": "Hi", **body})[0]


def reasoning(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def test_a_plain_request_is_the_same_as_a_plain_chat() -> None:
    chat = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
    parts = [{"type": "input_text", "text": "Hi"}]
    assert mapped() == mapped(input=[{"role": "user", "content": parts}], store=True, background=False) == chat


def test_instructions_come_first() -> None:
    assert mapped(instructions="Be short.")["messages"][0] == {"role": "system", "content": "Be short."}


def test_parts_are_renamed() -> None:
    parts = [
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
        {"type": "input_text", "text": "Look"},
    ]
    assert to_messages([{"role": "user", "content": parts}])[0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "text", "text": "Look"},
    ]


def test_calls_belong_to_the_assistants_message_before_them() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}
    again = {**CALL, "call_id": "call_2"}
    tool = {"role": "tool", "tool_call_id": "call_1", "content": "dry"}
    assert to_messages([said, CALL, again, OUTPUT, CALL]) == [
        assistant("I look.", tool_calls=[NESTED, {**NESTED, "id": "call_2"}]),
        tool,
        assistant(None, tool_calls=[NESTED]),
    ]


def test_reasoning_belongs_to_the_assistants_message_after_it() -> None:
    assert to_messages([reasoning("Hm."), CALL, OUTPUT, reasoning("Ha."), assistant("Done.")]) == [
        assistant(None, tool_calls=[NESTED], reasoning_content="Hm."),
        {"role": "tool", "tool_call_id": "call_1", "content": "dry"},
        assistant("Done.", reasoning_content="Ha."),
    ]
    assert to_messages([reasoning("Lost."), {"role": "user", "content": "x"}, assistant("y")])[1] == assistant("y")


def test_tools_are_nested_and_the_choice_with_them() -> None:
    function = {key: FLAT[key] for key in ("name", "description", "parameters", "strict")}
    chat = mapped(tools=[FLAT], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False)
    assert chat["tools"] == [{"type": "function", "function": function}]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert chat["parallel_tool_calls"] is False
    assert mapped(tools=[FLAT], tool_choice="required")["tool_choice"] == "required"
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    assert mapped(tools=[FLAT], tool_choice=allowed)["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
    }
    assert mapped(tools=[], tool_choice="auto", parallel_tool_calls=True) == mapped()


def test_formats_limits_and_effort_have_their_counterparts() -> None:
    schema = {"name": "a", "schema": {"type": "object"}, "strict": True}
    chat = mapped(
        text={"format": {"type": "json_schema", **schema, "description": None}, "verbosity": "low"},
        max_output_tokens=20,
        reasoning={"effort": "low"},
        top_logprobs=2,
        seed=4,
    )
    assert chat["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert (chat["verbosity"], chat["max_completion_tokens"], chat["reasoning_effort"]) == ("low", 20, "low")
    assert (chat["logprobs"], chat["top_logprobs"], chat["seed"]) == (True, 2, 4)
    assert mapped(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    assert mapped(text={"format": {"type": "text"}}, include=["message.output_text.logprobs"])["logprobs"] is True


def test_hints_are_dropped_and_named() -> None:
    hints = {"truncation": "auto", "max_tool_calls": 1, "reasoning": {"summary": "auto"}}
    body = {"model": "m", "input": "x", **hints, "include": ["reasoning.encrypted_content"]}
    served = read_responses(body, {}, "req_1")
    assert served.dropped == ("truncation", "max_tool_calls", "reasoning.summary", "include")
    assert read_responses({"model": "m", "input": "x", "truncation": "disabled"}, {}, "req_1").dropped == ()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{**OUTPUT, "output": [{"type": "input_image", "image_url": "https://x"}]}]}, "input[0].output"),
        ({"instructions": ["x"]}, "instructions"),
        ({"include": "x"}, "include"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "name": 1}]}, "tools[0].name"),
        ({"tools": [FLAT], "tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": [1]}}}, "text.format.schema"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        mapped(**body)
    assert refused.value.param == param
    assert param.partition("[")[0] in refused.value.message


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read_responses([], {}, "req_1")


def test_what_is_mapped_is_a_valid_chat() -> None:
    chat = parse_chat(mapped(input=[reasoning("Hm."), CALL, OUTPUT], stream=True, instructions="x"))
    assert chat.stream
    assert len(chat.messages) == 3

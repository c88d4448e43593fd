"""An Anthropic request as a chat request: what is mapped, dropped and refused."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.chat import parse_chat
from gateway.core.errors import InvalidRequest
from gateway.dialects.anthropic_messages import to_anthropic
from gateway.dialects.served.messages import read_count, read_messages
from gateway.dialects.served.messages_request import thinks, to_chat, version_of

OLD, NEW = "2023-06-01", "2026-10-21"
MARK = {"type": "ephemeral"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
PDF = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
}


def mapped(version: str = OLD, **body: Any) -> dict[str, Any]:
    asked = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **body}
    return to_chat(asked, version)[0]


def messages(*turns: dict[str, Any], **body: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = mapped(messages=list(turns), **body)["messages"]
    parse_chat({"model": "m", "messages": listed})
    return listed


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def result(**more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", **more}


def test_a_plain_request_is_the_same_as_a_plain_chat() -> None:
    expected = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    assert mapped() == mapped(messages=[user(said("Hi"))]) == expected


def test_system_opens_the_conversation_with_its_cache_marks() -> None:
    hello = {"role": "user", "content": "Hi"}
    assert messages(hello, system="Be short.")[0] == {"role": "system", "content": "Be short."}
    blocks = [said("A"), said("B", cache_control=MARK)]
    assert messages(hello, system=blocks)[0] == {"role": "system", "content": blocks}
    assert messages(hello, system=[]) == [hello]


def test_pictures_and_documents_become_parts() -> None:
    address = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}, "cache_control": MARK}
    note = {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "D"}}
    nested = {"type": "document", "source": {"type": "content", "content": [said("inner"), PNG]}}
    parts = messages(user(PNG, address, PDF, note, nested))[0]["content"]
    assert parts == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}, "cache_control": MARK},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "text", "text": "T\n\nD"},
        {"type": "text", "text": "inner"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    ]


def test_a_turn_of_tool_results_becomes_tool_messages_and_then_the_users_words() -> None:
    other = {**result(content=[said("wet"), PNG], is_error=True), "tool_use_id": "toolu_2"}
    assert messages(user(result(content="dry"), other, said("And now?")))[:2] == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": "dry"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": [said("Error:"), said("wet")]},
    ]
    rest = messages(user(result(content="dry"), other, said("And now?")))[2:]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert rest == [{"role": "user", "content": [picture, said("And now?")]}]


def test_an_empty_tool_result_is_an_empty_text() -> None:
    assert messages(user(result()))[0]["content"] == ""
    marked = messages(user(result(content="dry", cache_control=MARK)))[0]["content"]
    assert marked == [said("dry", cache_control=MARK)]


def test_an_assistants_turn_keeps_text_calls_and_thinking_apart() -> None:
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    unsigned = {"type": "thinking", "thinking": " Ha.", "signature": ""}
    turn = messages({"role": "user", "content": "x"}, assistant(signed, unsigned, said("Wait."), USE))[1]
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert turn == {
        "role": "assistant",
        "content": "Wait.",
        "tool_calls": [call],
        "reasoning_content": "Hm. Ha.",
        "thinking_blocks": [signed],
    }
    assert messages(user(said("x")), assistant(USE))[1]["content"] is None
    assert messages(user(said("x")), assistant(signed))[1]["content"] == ""


def test_what_goes_through_the_gateway_to_anthropic_is_what_came_in() -> None:
    turns = [
        user(PNG, said("Look.", cache_control=MARK)),
        assistant({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, said("I call."), USE),
        user(result(content=[said("dry", cache_control=MARK)]), said("And now?")),
    ]
    there = to_anthropic(tuple(messages(*turns, system=[said("Short.", cache_control=MARK)])), thinking=True)
    assert there.turns == turns
    assert there.system == [said("Short.", cache_control=MARK)]


def test_tools_and_the_choice_among_them() -> None:
    tools = [{**TOOL, "strict": True, "cache_control": MARK, "type": "custom"}]
    chat = mapped(tools=tools, tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True})
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert chat["tools"] == [{"type": "function", "function": function, "cache_control": MARK}]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert chat["parallel_tool_calls"] is False
    choices = [mapped(tools=[TOOL], tool_choice={"type": kind})["tool_choice"] for kind in ("auto", "any", "none")]
    assert choices == ["auto", "required", "none"]


@pytest.mark.parametrize(
    ("asked", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8_000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 30_000}}, "high"),
        ({"output_config": {"effort": "max"}}, "max"),
    ],
)
def test_thinking_becomes_an_effort(asked: dict[str, Any], effort: str | None) -> None:
    assert mapped(**asked).get("reasoning_effort") == effort


def test_thinking_is_asked_for_unless_it_is_disabled() -> None:
    assert thinks({"thinking": {"type": "adaptive"}})
    assert not thinks({"thinking": {"type": "disabled"}})
    assert not thinks({})


def test_the_other_fields_have_their_counterparts() -> None:
    schema = {"type": "object"}
    chat = mapped(
        stop_sequences=["a"],
        metadata={"user_id": "u"},
        output_config={"format": {"type": "json_schema", "schema": schema}},
        temperature=0.5,
        top_k=3,
        cache_control=MARK,
        stream=True,
    )
    assert (chat["stop"], chat["user"], chat["temperature"], chat["top_k"]) == (["a"], "u", 0.5, 3)
    assert chat["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    assert (chat["cache_control"], chat["stream"]) == (MARK, True)


@pytest.mark.parametrize(
    ("change", "strict"),
    [({}, True), ({"additionalProperties": True}, False), ({"required": []}, False), ({"properties": {}}, True)],
)
def test_a_schema_is_strict_where_openai_can_hold_an_answer_to_it(change: dict[str, Any], strict: bool) -> None:
    inner = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    schema = {**inner, "properties": {"a": {"anyOf": [{**inner, **change}, {"type": "null"}]}}}
    chat = mapped(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert chat["response_format"]["json_schema"].get("strict", False) is strict


def test_a_property_may_be_called_like_a_keyword() -> None:
    names = {name: {"type": "string"} for name in ("required", "properties", "type")}
    schema = {"type": "object", "properties": names, "required": [*names], "additionalProperties": False}
    chat = mapped(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert chat["response_format"]["json_schema"] == {"name": "answer", "schema": schema, "strict": True}


def test_hints_are_dropped_and_named() -> None:
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "service_tier": "auto"}
    served = read_messages({**body, "thriftgate": {}}, {"anthropic-version": NEW}, "req_1")
    assert served.dropped == ("service_tier",)
    assert "service_tier" not in served.chat.body


@pytest.mark.parametrize(
    ("version", "body", "param"),
    [
        (OLD, {"max_tokens": None}, "max_tokens"),
        (OLD, {"model": None}, "model"),
        (OLD, {"messages": []}, "messages"),
        (OLD, {"messages": "x"}, "messages"),
        (OLD, {"mcp_servers": []}, "mcp_servers"),
        (OLD, {"metadata": {"a": 1}}, "metadata.a"),
        (OLD, {"tool_choice": {"type": "any"}}, "tool_choice"),
        (OLD, {"tools": [TOOL], "tool_choice": {"type": "odd"}}, "tool_choice.type"),
        (OLD, {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type"),
        (OLD, {"tools": [{"input_schema": {}}]}, "tools.0.name"),
        (OLD, {"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        (OLD, {"messages": [{"role": "system", "content": "x"}]}, "messages.0"),
        (OLD, {"messages": [user()]}, "messages.0.content"),
        (OLD, {"messages": [user({"type": "search_result"})]}, "messages.0.content.0"),
        (OLD, {"messages": [user(said("x")), assistant(PDF)]}, "messages.1.content.0"),
        (OLD, {"messages": [user({**PDF, "citations": {"enabled": True}})]}, "messages.0.content.0.citations"),
        (OLD, {"messages": [user({"type": "image", "source": {"type": "file"}})]}, "messages.0.content.0.source.type"),
        (
            OLD,
            {"messages": [user({"type": "document", "source": {"type": "url"}})]},
            "messages.0.content.0.source.type",
        ),
        (NEW, {"temperature": 1}, "temperature"),
        (NEW, {"top_p": 1}, "top_p"),
        (NEW, {"top_k": 1}, "top_k"),
        (NEW, {"messages": [user(said("x", citations=[{}]))]}, "messages.0.content.0.citations"),
    ],
)
def test_what_cannot_be_served_is_refused_at_its_place(version: str, body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        mapped(version, **body)
    assert refused.value.param == param
    assert refused.value.message.startswith(f"{param}:") or param in refused.value.message


@pytest.mark.parametrize(("headers", "words"), [({}, "required"), ({"anthropic-version": "1"}, "not a valid version")])
def test_the_version_must_be_said_and_known(headers: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        version_of(headers)


def test_tokens_can_be_counted_without_a_limit() -> None:
    chat = read_count({"model": "m", "messages": [{"role": "user", "content": "x"}]}, {"anthropic-version": NEW})
    assert chat.max_tokens is None
    with pytest.raises(InvalidRequest):
        read_count([], {"anthropic-version": NEW})

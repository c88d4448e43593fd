from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import parse_chat, text_of
from gateway.core.errors import InvalidRequest
from tests.core.asking import picture, text, user

HELLO = [user("Hello")]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "thriftgate",
)


def refused(body: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(body)
    return caught.value


def test_a_request_is_read_where_the_gateway_looks() -> None:
    chat = parse_chat(
        {"model": "auto", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 7}
    )
    assert (chat.model, chat.messages, chat.stream, chat.include_usage, chat.max_tokens) == (
        "auto",
        tuple(HELLO),
        True,
        True,
        7,
    )


def test_absent_and_null_fields_mean_the_same() -> None:
    bare = parse_chat({"model": "auto", "messages": HELLO})
    nulls = parse_chat(
        {"model": "auto", "messages": HELLO, "stream": None, "stream_options": None, "max_tokens": None, "tools": None}
    )
    assert (bare.stream, bare.include_usage, bare.max_tokens) == (False, False, None)
    assert (nulls.stream, nulls.include_usage, nulls.max_tokens) == (False, False, None)


def test_fields_nobody_here_knows_pass_untouched() -> None:
    body = {"model": "auto", "messages": HELLO, "invented_tomorrow": {"deep": [1, None]}}
    assert parse_chat(body).body == body


def test_the_gateways_own_field_is_not_for_the_provider() -> None:
    body = {"model": "auto", "messages": HELLO, "thriftgate": {"cache": "off"}}
    assert "thriftgate" not in parse_chat(body).body
    assert "thriftgate" in body


def test_the_output_limit_is_found_under_either_name() -> None:
    assert parse_chat({"model": "m", "messages": HELLO, "max_completion_tokens": 9}).max_tokens == 9


@pytest.mark.parametrize("message", [{"role": "assistant"}, {"role": "assistant", "content": None, "tool_calls": []}])
def test_an_assistant_may_have_said_nothing(message: dict[str, Any]) -> None:
    assert parse_chat({"model": "m", "messages": [message]}).messages == (message,)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": ["auto"]}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [*HELLO, {"content": "who?"}]}, "messages[1].role"),
        ({"messages": [{"role": "robot", "content": "beep"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "beep"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [user(7)]}, "messages[0].content"),
        ({"messages": [user([7])]}, "messages[0].content"),
        ({"messages": [user([{"text": "no type"}])]}, "messages[0].content"),
        ({"messages": [user([{"type": ["text"]}])]}, "messages[0].content"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": "usage"}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "include_usage"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens"),
        ({"max_tokens": 9, "max_completion_tokens": 9}, "max_tokens"),
        ({"tools": 5}, "tools"),
        ({"tools": {"type": "function"}}, "tools"),
    ],
)
def test_what_the_gateway_cannot_work_with_is_refused_by_name(change: dict[str, Any], param: str) -> None:
    error = refused({"model": "auto", "messages": HELLO, **change})
    assert error.param == param
    assert f"`{param}`" in error.message


@pytest.mark.parametrize("body", [None, [], "auto", 7])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert "JSON object" in refused(body).message


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_is_parsed_or_refused_and_never_crashes(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        parse_chat(body)


def test_the_text_of_a_message_is_its_text_parts() -> None:
    assert text_of("whole") == "whole"
    assert text_of([text("one"), picture(), text("two")]) == "one\ntwo"
    assert text_of([{"type": "text"}, {"type": "text", "text": 7}]) == ""
    assert text_of(None) == ""


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ({"role": "user", "content": "Hello"}, True),
        ({"content": "Hello", "role": "user"}, True),
        ({"role": "user", "content": [{"type": "text", "text": "Hello"}]}, False),
        ({"role": "user", "content": "Hello", "name": "Ada"}, False),
        ({"role": "assistant", "content": None}, False),
        ({"role": "assistant", "content": "Hello", "tool_calls": None}, False),
    ],
)
def test_a_request_is_plain_if_its_messages_are_roles_and_texts_alone(message: dict[str, Any], plain: bool) -> None:
    assert parse_chat({"model": "auto", "messages": [{"role": "user", "content": "x"}, message]}).plain is plain

"""Whatever is sent, reading it ends in a request or in a refusal: never in a crash."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from gateway.core.errors import InvalidRequest
from gateway.core.estimate import countable, prompt_bound
from gateway.core.features import features_of
from gateway.core.fingerprint import exact_key, question
from gateway.core.profile import Profile
from gateway.dialects.served.completions import read_completions
from gateway.dialects.served.messages import read_messages
from gateway.dialects.served.rendering import Read
from gateway.dialects.served.responses import read_responses

ODD: list[Any] = [None, True, -1, 1.5, "", "x", [], [1], [None], ["x"], [{}], {}, {"type": {}}, {"type": "x"}]
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}

MESSAGES = {
    "model": "auto",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be short.", "cache_control": MARK}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {
                    "type": "document",
                    "title": "T",
                    "source": {"type": "text", "data": "D"},
                    "citations": {"enabled": False},
                },
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]}},
                {"type": "text", "text": "Look."},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "dry"}]}
            ],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "cache_control": MARK}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1_024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["a"],
    "metadata": {"user_id": "u"},
    "temperature": 1,
    "stream": True,
    "thriftgate": {"tier": "light"},
}
RESPONSES = {
    "model": "auto",
    "instructions": "Be short.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
                {"type": "input_text", "text": "Look."},
            ],
        },
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "dry"}]},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 1,
    "max_output_tokens": 20,
    "parallel_tool_calls": False,
    "stream": True,
    "store": False,
    "truncation": "disabled",
    "metadata": {"a": "b"},
    "previous_response_id": None,
}
COMPLETIONS = {
    "model": "auto",
    "prompt": ["x"],
    "max_tokens": 5,
    "stream": True,
    "stream_options": {"include_usage": True},
    "echo": False,
}
REQUESTS: dict[str, tuple[Read, dict[str, Any]]] = {
    "messages": (read_messages, MESSAGES),
    "responses": (read_responses, RESPONSES),
    "completions": (read_completions, COMPLETIONS),
}


def read(name: str, body: Any) -> None:
    """As far as a request goes before a provider sees it."""
    served = REQUESTS[name][0](body, {"anthropic-version": "2023-06-01"}, "req_1")
    features_of(served.chat)
    countable(served.chat)
    prompt_bound(served.chat, Profile())
    exact_key(served.chat, "scope", "tier")
    question(served.chat)


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a request."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (key,)
        yield from ((key, *path) for path in places(inner))


def replaced(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(body)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return {**changed}


@contextmanager
def crashes_named(what: str) -> Iterator[None]:
    try:
        yield
    except InvalidRequest:
        raise
    except Exception as error:
        raise AssertionError(f"{what} was not refused but crashed") from error


@pytest.mark.parametrize("name", REQUESTS)
def test_a_whole_request_is_read(name: str) -> None:
    read(name, REQUESTS[name][1])


@pytest.mark.parametrize("name", REQUESTS)
def test_any_part_of_a_request_may_be_anything(name: str) -> None:
    for path in places(REQUESTS[name][1]):
        for value in ODD:
            with suppress(InvalidRequest), crashes_named(f"{path} = {value!r}"):
                read(name, replaced(REQUESTS[name][1], path, value))


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("body", ODD)
def test_the_body_itself_may_be_anything(name: str, body: Any) -> None:
    with pytest.raises(InvalidRequest):
        read(name, body)

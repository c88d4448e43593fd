"""What Anthropic's answers become."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.chunks import assemble
from gateway.core.errors import UpstreamMalformed, UpstreamOverloaded, UpstreamRejected
from gateway.core.usage import Usage
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.anthropic_answer import openai_usage
from tests.dialects.cassette import fed, play, read

ANTHROPIC = Anthropic()
TOOLS = play(ANTHROPIC, [read("anthropic/tools.sse")])


def deltas(key: str) -> list[Any]:
    return [part["delta"][key] for chunk in TOOLS for part in chunk["choices"] if key in part["delta"]]


@pytest.mark.parametrize(
    "answer", [ANTHROPIC.decode(read("anthropic/tools.json")), assemble(TOOLS)], ids=["whole", "streamed"]
)
def test_thoughts_text_and_tools_in_openai_shape(answer: dict[str, Any]) -> None:
    assert answer["id"] == "msg_01XFDUDYJgAACzvnptvVoYEL"
    assert answer["created"] == 0
    assert answer["choices"] == [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Let me look.",
                "reasoning_content": "The user wants\nthe weather.",
                "thinking_blocks": [
                    {
                        "type": "thinking",
                        "thinking": "The user wants\nthe weather.",
                        "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h",
                    },
                    {"type": "redacted_thinking", "data": "EmwKAhgB"},
                ],
                "tool_calls": [
                    {
                        "id": "toolu_01A",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city":"Zürich"}'},
                    },
                    {"id": "toolu_01B", "type": "function", "function": {"name": "now", "arguments": "{}"}},
                ],
            },
        }
    ]
    assert Usage.from_openai(answer["usage"]) == Usage(1211, 89, 1000, 200, 21)


def test_a_tool_index_counts_tools_and_its_name_comes_with_its_first_fragment() -> None:
    fragments = [call for calls in deltas("tool_calls") for call in calls]
    assert [call["index"] for call in fragments] == [0, 0, 0, 1, 1]
    assert [call.get("id") for call in fragments] == ["toolu_01A", None, None, "toolu_01B", None]


def test_a_call_without_arguments_streams_an_empty_object() -> None:
    last = deltas("tool_calls")[-1][0]
    assert last == {"index": 1, "function": {"arguments": "{}"}}


def test_usage_of_message_delta_replaces_that_of_message_start() -> None:
    assert TOOLS[-1]["usage"]["completion_tokens"] == 89
    assert TOOLS[-1]["usage"]["prompt_tokens"] == 11 + 200 + 1000


def test_a_refusal_is_a_content_filter_with_its_text() -> None:
    streamed = assemble(play(ANTHROPIC, [read("anthropic/refusal.sse")]))["choices"][0]
    whole = ANTHROPIC.decode(read("anthropic/refusal.json"))["choices"][0]
    assert streamed == whole
    assert whole["finish_reason"] == "content_filter"
    assert whole["message"]["refusal"] == "This request was declined."


@pytest.mark.parametrize(
    ("stop_reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("something_newer", "stop"),
    ],
)
def test_stop_reasons(stop_reason: str, expected: str) -> None:
    stream = read("anthropic/chat.sse").replace(b"end_turn", stop_reason.encode())
    whole = read("anthropic/chat.json").replace(b"end_turn", stop_reason.encode())
    assert assemble(play(ANTHROPIC, [stream]))["choices"][0]["finish_reason"] == expected
    assert ANTHROPIC.decode(whole)["choices"][0]["finish_reason"] == expected


def test_an_error_event_is_the_error_it_names() -> None:
    with pytest.raises(UpstreamOverloaded) as caught:
        play(ANTHROPIC, [read("anthropic/error_in_stream.sse")])
    assert caught.value.reached


def test_events_and_blocks_of_an_unknown_kind_are_passed_over() -> None:
    event = {"type": "content_block_start", "index": 9, "content_block": {"type": "server_tool_use", "id": "x"}}
    delta = {"type": "content_block_delta", "index": 9, "delta": {"type": "input_json_delta", "partial_json": "{}"}}
    stop = {"type": "content_block_stop", "index": 9}
    unknown = b"".join(b"data: " + orjson.dumps(e) + b"\n\n" for e in (event, delta, stop, {"type": "newer_event"}))
    stream = read("anthropic/chat.sse").replace(b"event: message_delta", unknown + b"event: message_delta")
    assert play(ANTHROPIC, [stream]) == play(ANTHROPIC, [read("anthropic/chat.sse")])


def test_a_stream_that_does_not_open_with_message_start_is_malformed() -> None:
    with pytest.raises(UpstreamMalformed):
        fed(ANTHROPIC.decoder(), b'data: {"type":"content_block_stop","index":0}\n\n')


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"content":[],"stop_reason":null}', b'{"content":[1]}']
)
def test_a_whole_answer_without_the_promised_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        ANTHROPIC.decode(body)


def test_a_200_that_holds_an_error_is_that_error() -> None:
    with pytest.raises(UpstreamOverloaded):
        ANTHROPIC.decode(read("anthropic/overloaded.json"))


def test_refusals_by_status() -> None:
    assert isinstance(ANTHROPIC.error(529, {}, read("anthropic/overloaded.json")), UpstreamOverloaded)
    missing = ANTHROPIC.error(404, {}, read("anthropic/not_found.json"))
    assert isinstance(missing, UpstreamRejected)
    assert missing.message == "model: claude-nope"


def test_writes_for_an_hour_are_told_apart_and_never_exceed_what_was_written() -> None:
    kept = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    counts = {"input_tokens": 3, "cache_creation_input_tokens": 30, "output_tokens": 1}
    assert Usage.from_openai(openai_usage({**counts, "cache_creation": kept})) == Usage(
        33, 1, cache_write_tokens=30, cache_write_1h_tokens=20
    )
    # the parts alone, as nobody should send them: what is not counted would not be billed
    assert Usage.from_openai(openai_usage({"input_tokens": 3, "cache_creation": kept})).cache_write_tokens == 30
    for nothing in (None, "many", {"ephemeral_1h_input_tokens": -1}):
        assert Usage.from_openai(openai_usage({**counts, "cache_creation": nothing})).cache_write_1h_tokens == 0

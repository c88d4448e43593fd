"""Anthropic's answers, whole and streamed; the stream is put together by Anthropic's own SDK."""

from __future__ import annotations

from typing import Any, cast

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given

from gateway.core.chunks import Chunk, Completion, assemble, split
from gateway.core.errors import UpstreamCut, UpstreamMalformed
from gateway.core.usage import Usage
from gateway.dialects.served.messages import MessageRendering
from tests.dialects.served.answers import completion, events, parsed, streams, tool_call

SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eHh4"}


def rendering(shows_thinking: bool = True) -> MessageRendering:
    return MessageRendering("req_1", shows_thinking=shows_thinking)


def put_together(told: list[dict[str, Any]]) -> dict[str, Any]:
    """By Anthropic's SDK, with only the fields that were sent."""
    message: Any = None
    buffers: dict[int, bytes] = {}
    for event in told:
        message = accumulate_event(event=cast(Any, event), current_snapshot=message, json_bufs=buffers)
    return cast(dict[str, Any], message.model_dump(exclude_unset=True))


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Chunk:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


@given(streams())
def test_the_sdk_puts_a_stream_together_to_the_whole_answer(pair: tuple[Completion, list[Chunk]]) -> None:
    whole, chunks = pair
    assert put_together(events(rendering().stream(), chunks)) == rendering().whole(whole)


@given(streams())
def test_blocks_never_overlap_and_the_frame_is_always_the_same(pair: tuple[Completion, list[Chunk]]) -> None:
    told = events(rendering().stream(), pair[1])
    names = [event["type"] for event in told]
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    open_block: int | None = None
    for event in told[1:-2]:
        if event["type"] == "content_block_start":
            assert open_block is None
            open_block = event["index"]
        assert event["index"] == open_block
        if event["type"] == "content_block_stop":
            open_block = None
    starts = [event["index"] for event in told if event["type"] == "content_block_start"]
    assert starts == list(range(len(starts)))


@pytest.mark.parametrize(
    ("finish_reason", "message", "expected"),
    [
        ("stop", {"content": "Hi"}, "end_turn"),
        ("length", {"content": "Hi"}, "max_tokens"),
        ("tool_calls", {"content": "Hi", "tool_calls": [tool_call("a")]}, "tool_use"),
        ("stop", {"content": "Hi", "tool_calls": [tool_call("a")]}, "tool_use"),
        ("length", {"tool_calls": [tool_call("a")]}, "max_tokens"),
        ("content_filter", {"content": "Hi"}, "refusal"),
        ("stop", {"refusal": "I cannot."}, "refusal"),
    ],
)
def test_the_stop_reason_is_anthropics(finish_reason: str, message: dict[str, Any], expected: str) -> None:
    answer = completion(message, finish_reason)
    whole = rendering().whole(answer)
    assert whole["stop_reason"] == expected
    assert put_together(events(rendering().stream(), split(answer)))["stop_reason"] == expected
    assert (whole["stop_details"] or {}).get("explanation") == message.get("refusal")


def test_signed_thinking_is_told_once_live_and_from_a_cache() -> None:
    live = [
        chunk({"role": "assistant", "content": None}),
        chunk({"reasoning_content": "H"}),
        chunk({"reasoning_content": "m."}),
        chunk({"thinking_blocks": [SIGNED]}),
        chunk({"thinking_blocks": [REDACTED]}),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
    ]
    whole = assemble(live)
    expected = [SIGNED, REDACTED, {"type": "text", "text": "Hi"}]
    assert rendering().whole(whole)["content"] == expected
    assert put_together(events(rendering().stream(), live))["content"] == expected
    assert put_together(events(rendering().stream(), split(whole)))["content"] == expected


@pytest.mark.parametrize("shown", [False, True])
def test_unsigned_thinking_is_shown_only_where_it_was_asked_for(shown: bool) -> None:
    answer = completion({"reasoning_content": "Hm.", "content": "Hi"})
    kinds = ["thinking", "text"] if shown else ["text"]
    assert [block["type"] for block in rendering(shown).whole(answer)["content"]] == kinds
    told = put_together(events(rendering(shown).stream(), split(answer)))
    assert [block["type"] for block in told["content"]] == kinds


def test_arguments_are_sent_on_as_they_come_and_nothing_is_sent_for_none() -> None:
    fragments = ['{"a', '": 1}']
    chunks = [
        chunk(
            {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}
        ),
        *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in fragments),
        chunk({}, "tool_calls"),
    ]
    told = events(rendering().stream(), chunks)
    assert [event["delta"]["partial_json"] for event in told if event["type"] == "content_block_delta"] == fragments


def test_interleaved_tool_calls_cannot_be_told_and_are_an_error() -> None:
    stream = rendering().stream()
    for at, id in enumerate("ab"):
        stream.frame(chunk({"tool_calls": [{"index": at, "id": id, "function": {"name": "f", "arguments": "{"}}]}))
    with pytest.raises(UpstreamMalformed):
        stream.frame(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}))


def test_a_foreign_call_id_is_made_fit_to_be_sent_back() -> None:
    block = rendering().whole(completion({"tool_calls": [tool_call("functions.f:0")]}))["content"][0]
    assert block["id"].startswith("functions_f_0_")


def test_arguments_that_are_no_json_are_wrapped_not_lost() -> None:
    block = rendering().whole(completion({"tool_calls": [tool_call("a", "{oops")]}))["content"][0]
    assert block["input"] == {"arguments": "{oops"}


def test_usage_is_taken_apart_as_anthropic_counts_it() -> None:
    counted = Usage(100, 7, 60, 30, 4, cache_write_1h_tokens=20)
    usage = rendering().whole(completion({"content": "x"}, usage=counted))["usage"]
    assert usage == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 4},
    }


def test_a_failure_is_an_error_event_and_no_message_stop() -> None:
    stream = rendering().stream()
    stream.frame(chunk({"content": "Hi"}))
    written = stream.failure(UpstreamCut("Cut."))
    assert written.startswith(b"event: error\n")
    expected = {"type": "error", "error": {"type": "api_error", "message": "Cut."}, "request_id": "req_1"}
    assert parsed(written) == [expected]

"""A Response, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from gateway.core.chunks import Chunk, Completion, split
from gateway.core.errors import UpstreamCut, UpstreamMalformed, UpstreamRateLimited
from gateway.core.usage import Usage
from gateway.dialects.served.responses import ResponsesRendering
from gateway.dialects.served.responses_answer import opened
from tests.dialects.served.answers import completion, events, parsed, streams, tool_call


def rendering(**asked: Any) -> ResponsesRendering:
    return ResponsesRendering(opened({"model": "auto", **asked}, "req_1"))


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **choice: Any) -> Chunk:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **choice}]}


def replayed(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output items as a client keeps them that listens to `added`, `delta` and `done` of the parts only."""
    items: list[dict[str, Any]] = []
    for event in told:
        match event["type"].removeprefix("response."):
            case "output_item.added":
                assert event["output_index"] == len(items)
                items.append(event["item"])
            case "content_part.added":
                assert event["content_index"] == len(items[-1]["content"])
                items[-1]["content"].append(event["part"])
            case "output_text.delta" | "reasoning_text.delta":
                items[-1]["content"][-1]["text"] += event["delta"]
            case "refusal.delta":
                items[-1]["content"][-1]["refusal"] += event["delta"]
            case "function_call_arguments.delta":
                items[-1]["arguments"] += event["delta"]
            case "output_item.done":
                items[-1]["status"] = event["item"]["status"]
                assert items[-1] == event["item"]
        if "item_id" in event:
            assert event["item_id"] == items[-1]["id"]
    return items


@given(streams())
def test_a_stream_ends_with_the_whole_answer(pair: tuple[Completion, list[Chunk]]) -> None:
    whole, chunks = pair
    told = events(rendering().stream(), chunks)
    assert told[-1]["response"] == rendering().whole(whole)
    assert replayed(told) == told[-1]["response"]["output"]


@given(streams())
def test_events_are_numbered_without_a_gap(pair: tuple[Completion, list[Chunk]]) -> None:
    told = events(rendering().stream(), pair[1])
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [event["type"] for event in told[:2]] == ["response.created", "response.in_progress"]
    assert told[0]["response"]["status"] == "in_progress"
    assert told[0]["response"]["output"] == []


@pytest.mark.parametrize(
    ("finish_reason", "status", "why"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_the_status_says_how_it_ended(finish_reason: str, status: str, why: Any) -> None:
    answer = completion({"content": "Hi"}, finish_reason)
    whole = rendering().whole(answer)
    assert (whole["status"], whole["incomplete_details"], whole["output"][0]["status"]) == (status, why, status)
    assert events(rendering().stream(), split(answer))[-1]["type"] == f"response.{status}"


def test_each_kind_of_output_is_an_item_of_its_own() -> None:
    message = {
        "reasoning_content": "Hm.",
        "content": "Hi",
        "refusal": "No more.",
        "tool_calls": [tool_call("a", '{"b":1}'), tool_call("c")],
    }
    whole = rendering().whole(completion(message, "tool_calls"))
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message", "function_call", "function_call"]
    assert [part["type"] for part in whole["output"][1]["content"]] == ["output_text", "refusal"]
    assert [(item["call_id"], item["arguments"]) for item in whole["output"][2:]] == [("a", '{"b":1}'), ("c", "{}")]
    assert len({item["id"] for item in whole["output"]}) == 4


def test_the_request_is_echoed_and_nothing_is_stored() -> None:
    asked = {"instructions": "Be short.", "store": True, "tools": [{"type": "function", "name": "f"}], "temperature": 0}
    whole = rendering(**asked, parallel_tool_calls=False, reasoning={"effort": "low"}).whole(
        completion({"content": "x"})
    )
    assert whole["id"] == "resp_1"
    assert (whole["model"], whole["created_at"], whole["store"]) == ("m", 7, False)
    assert (whole["instructions"], whole["tools"], whole["temperature"]) == ("Be short.", asked["tools"], 0)
    assert (whole["parallel_tool_calls"], whole["tool_choice"]) == (False, "auto")
    assert whole["reasoning"]["effort"] == "low"
    assert whole["text"] == {"format": {"type": "text"}}


def test_usage_is_told_in_the_apis_words() -> None:
    usage = rendering().whole(completion({"content": "x"}, usage=Usage(100, 7, 60, 30, 4)))["usage"]
    assert usage == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 107,
    }


def test_token_probabilities_stand_beside_their_text() -> None:
    likely: list[Any] = [{"token": piece, "logprob": -0.5, "bytes": [], "top_logprobs": []} for piece in ("He", "llo")]
    chunks = [chunk({"content": token["token"]}, logprobs={"content": [token]}) for token in likely]
    told = events(rendering().stream(), [*chunks, chunk({}, "stop")])
    deltas = [event for event in told if event["type"] == "response.output_text.delta"]
    assert [event["logprobs"] for event in deltas] == [[likely[0]], [likely[1]]]
    assert told[-1]["response"]["output"][0]["content"][0]["logprobs"] == likely


@pytest.mark.parametrize(
    ("error", "code"), [(UpstreamCut("Cut."), "server_error"), (UpstreamRateLimited("Slow."), "rate_limit_exceeded")]
)
def test_a_failure_is_told_as_a_failed_response(error: Any, code: str) -> None:
    stream = rendering().stream()
    heard = parsed(stream.frame(chunk({"content": "Hi"})))
    last = parsed(stream.failure(error))
    assert [event["type"] for event in last] == ["response.failed"]
    assert last[0]["sequence_number"] == len(heard)
    assert last[0]["response"]["status"] == "failed"
    assert last[0]["response"]["error"] == {"code": code, "message": error.message}


def test_a_failure_before_the_first_chunk_is_still_a_whole_conversation() -> None:
    told = parsed(rendering().stream().failure(UpstreamCut("Cut.")))
    assert [event["type"] for event in told] == ["response.created", "response.in_progress", "response.failed"]
    assert told[-1]["response"]["model"] == "auto"


def test_interleaved_tool_calls_cannot_be_told_and_are_an_error() -> None:
    stream = rendering().stream()
    for at, id in enumerate("ab"):
        stream.frame(chunk({"tool_calls": [{"index": at, "id": id, "function": {"name": "f", "arguments": "{"}}]}))
    with pytest.raises(UpstreamMalformed):
        stream.frame(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}))

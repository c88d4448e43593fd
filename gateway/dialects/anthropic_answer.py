"""Anthropic's answer in OpenAI's words, for whole answers and for streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.chunks import Completion
from gateway.core.usage import Usage
from gateway.dialects.payload import malformed

FINISH_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",  # a server tool ran long; the client may send the answer back to go on
}
THOUGHTS = ("thinking", "redacted_thinking")


def finish_reason(stop_reason: Any) -> str:
    """OpenAI's reason. One that is newer than this table is an end like any other."""
    return FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def refusal_text(stop_details: Any) -> str:
    """What OpenAI puts into `refusal`."""
    explanation = stop_details.get("explanation") if isinstance(stop_details, Mapping) else None
    return explanation if isinstance(explanation, str) and explanation else "The model refused to answer."


def openai_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Anthropic counts uncached, written and read input apart; OpenAI's `prompt_tokens` is all three.

    `cache_creation` takes the written apart by how long they are kept, which decides their price. A stream says it in
    message_start only (MessageDeltaUsage of anthropic-sdk-python 2.12 has no such field).
    """
    kept = usage.get("cache_creation")
    minutes, hour = (_part(kept, f"ephemeral_{time}_input_tokens") for time in ("5m", "1h"))
    read, written = _count(usage.get("cache_read_input_tokens")), _count(usage.get("cache_creation_input_tokens"))
    written = max(written, minutes + hour)
    return Usage(
        input_tokens=_count(usage.get("input_tokens")) + written + read,
        output_tokens=_count(usage.get("output_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=_part(usage.get("output_tokens_details"), "thinking_tokens"),
        cache_write_1h_tokens=hour,
    ).to_openai()


def to_completion(answer: Mapping[str, Any]) -> Completion:
    """A Message as a completion. Raises UpstreamMalformed."""
    blocks = answer.get("content")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise malformed("has no content blocks")
    if answer.get("stop_reason") is None:
        raise malformed("has no stop_reason")
    message = _message(blocks)
    if answer.get("stop_reason") == "refusal":
        message["refusal"] = refusal_text(answer.get("stop_details"))
    completion: Completion = {
        "id": answer.get("id"),
        "object": "chat.completion",
        "created": 0,
        "model": answer.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(answer.get("stop_reason"))}],
    }
    if isinstance(answer.get("usage"), Mapping):
        completion["usage"] = openai_usage(answer["usage"])
    return completion


def _message(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    texts = [_text(block, "text") for block in blocks if block.get("type") == "text"]
    thoughts = [block for block in blocks if block.get("type") in THOUGHTS]
    calls = [_tool_call(block) for block in blocks if block.get("type") == "tool_use"]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    if thinking := "".join(_text(block, "thinking") for block in thoughts):
        message["reasoning_content"] = thinking
    if thoughts:
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    return message


def _tool_call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _text(block: Mapping[str, Any], key: str) -> str:
    text = block.get(key)
    return text if isinstance(text, str) else ""


def _part(details: object, key: str) -> int:
    return _count(details.get(key)) if isinstance(details, Mapping) else 0


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0

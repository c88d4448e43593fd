"""The parts of an Anthropic Message that whole answers and streams share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import arguments_object, tool_id

Block = dict[str, Any]

_STOP_REASONS: Mapping[object, str] = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def envelope(request_id: str, model: object) -> dict[str, Any]:
    """The id is the request's own, so an answer from a cache is not taken for one already counted."""
    own = f"msg_{request_id.removeprefix('req_')}"
    return {"id": own, "type": "message", "role": "assistant", "model": model}


def ending(finish_reason: object, refusal: str | None, *, called: bool) -> dict[str, Any]:
    """Why the answer ended. `called`: some providers say `stop` after a tool call, and an agent that hears `end_turn`
    does not run its tool (bifrost#3638). Which stop sequence matched is not known here: that is an `end_turn` too."""
    reason = _STOP_REASONS.get(finish_reason, "end_turn")
    if called and reason == "end_turn":
        reason = "tool_use"
    details = None
    if refusal or reason == "refusal":
        reason = "refusal"
        details = {"type": "refusal", "category": None, "explanation": refusal or None}
    return {"stop_reason": reason, "stop_sequence": None, "stop_details": details}


def anthropic_usage(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """From OpenAI's, whose `prompt_tokens` counts read and written cache as well.

    How long what was written is kept is told only where some is kept for an hour. In a stream that is known at the
    end, where the SDK does not look for it (2.12): it would keep the zeros of message_start.
    """
    counted = Usage.from_openai(usage or {})
    kept = {
        "ephemeral_5m_input_tokens": counted.cache_write_short_tokens,
        "ephemeral_1h_input_tokens": counted.cache_write_1h_tokens,
    }
    return {
        "input_tokens": counted.uncached_tokens,
        "cache_creation_input_tokens": counted.cache_write_tokens,
        "cache_read_input_tokens": counted.cache_read_tokens,
        **({"cache_creation": kept} if counted.cache_write_1h_tokens else {}),
        "output_tokens": counted.output_tokens,
        "output_tokens_details": {"thinking_tokens": counted.reasoning_tokens},
    }


def thinking(text: str) -> Block:
    """Thinking without a signature: not Claude's."""
    return {"type": "thinking", "thinking": text, "signature": ""}


def tool_use(call: Mapping[str, Any], position: int) -> Block:
    """The call as a block whose `input` is still empty. An id must be fit to be sent back to Anthropic."""
    name = (call.get("function") or {}).get("name")
    fit = tool_id(call.get("id") or f"toolu_{position}")
    return {"type": "tool_use", "id": fit, "name": name, "input": {}}


def blocks(message: Mapping[str, Any], *, shows_thinking: bool) -> list[Block]:
    """A whole message's content: thinking, text, tool calls."""
    thoughts: list[Block] = list(message.get("thinking_blocks") or ())
    if not thoughts and shows_thinking and message.get("reasoning_content"):
        thoughts = [thinking(message["reasoning_content"])]
    texts: list[Block] = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    uses = [
        {**tool_use(call, position), "input": arguments_object(call["function"].get("arguments") or "")}
        for position, call in enumerate(message.get("tool_calls") or ())
    ]
    return [*thoughts, *texts, *uses]

"""A Response object, as it stands before anything has been answered, and the pieces it is completed with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import ThriftgateError
from gateway.core.usage import Usage

Item = dict[str, Any]

_INCOMPLETE: Mapping[object, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_p",
    "user",
)


def opened(asked: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """Not begun. The API echoes the request; `store` is false whatever was asked, for nothing is stored."""
    text = asked.get("text") or {}
    reasoning = asked.get("reasoning") or {}
    return {
        "id": f"resp_{request_id.removeprefix('req_')}",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        **{field: asked.get(field) for field in _ECHOED},
        "metadata": asked.get("metadata") or {},
        "model": asked.get("model"),
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "store": False,
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": asked.get("tools") or [],
        "top_logprobs": asked.get("top_logprobs") or 0,
        "truncation": "disabled",
        "usage": None,
    }


def ending(finish_reason: object) -> dict[str, Any]:
    """The fields that say how it ended."""
    why = _INCOMPLETE.get(finish_reason)
    return {"status": "incomplete" if why else "completed", "incomplete_details": {"reason": why} if why else None}


def failed(error: ThriftgateError) -> dict[str, Any]:
    """The same for an answer that broke off. The API knows two codes that can happen here."""
    code = "rate_limit_exceeded" if error.status == 429 else "server_error"
    return {"status": "failed", "error": {"code": code, "message": error.message}}


def responses_usage(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """From the chat API's words for the same counts."""
    if usage is None:
        return None
    counted = Usage.from_openai(usage)
    return {
        "input_tokens": counted.input_tokens,
        "input_tokens_details": {
            "cached_tokens": counted.cache_read_tokens,
            "cache_write_tokens": counted.cache_write_tokens,
        },
        "output_tokens": counted.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counted.reasoning_tokens},
        "total_tokens": counted.total_tokens,
    }


def part(kind: str) -> Item:
    """An empty content part."""
    if kind == "refusal":
        return {"type": kind, "refusal": ""}
    return {"type": kind, "text": ""} | ({"annotations": [], "logprobs": []} if kind == "output_text" else {})


def logprobs(choice: Mapping[str, Any]) -> list[Any]:
    """A chunk's token probabilities; the fields are the chat API's own."""
    told = choice.get("logprobs")
    return list(told.get("content") or ()) if isinstance(told, Mapping) else []

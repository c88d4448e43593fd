"""api.anthropic.com: POST /v1/messages, both API versions and both forms of the key."""

from __future__ import annotations

import json
from typing import Any

from gateway.core.usage import Usage
from tests.loopback.answer import Answer, ToolCall, tokens
from tests.loopback.anthropic_rules import RULES, VERSIONS, Body, error
from tests.loopback.flavour import Flavour, Frames, Received, Refusal, last_user_text, sse
from tests.loopback.sample import sample

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_WORDS = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


class Anthropic(Flavour):
    """Thinks when asked to, pings after `message_start`, and counts cached tokens apart from `input_tokens`."""

    chat_paths = frozenset({"/v1/messages"})
    keep_alive = sse({"type": "ping"}, "ping")

    def __init__(self, api_key: str = "sk-ant-loopback-0123456789") -> None:
        super().__init__(api_key)

    def credentials(self) -> dict[str, str]:
        return {"x-api-key": self.api_key, "anthropic-version": "2023-06-01"}

    def headers(self, request: Received) -> dict[str, str]:
        limits = {"anthropic-ratelimit-requests-limit": "4000", "anthropic-ratelimit-requests-remaining": "3999"}
        return {"request-id": f"req_{request.number}", **limits}

    def check(self, request: Received) -> Refusal | None:
        """`x-api-key` wins over `Authorization`, which the SDK sends since version 2026-10-21."""
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not given:
            return error("x-api-key header is required", 401, "authentication_error")
        if given != self.api_key:
            return self.refusal(401)
        if request.path not in self.chat_paths:
            return self.refusal(404)
        version = request.headers.get("anthropic-version")
        if version is None:
            return error("anthropic-version: header is required")
        if version not in VERSIONS:
            return error(f'anthropic-version: "{version}" is not a valid version')
        if not isinstance(request.body, dict):
            return error("The request body is not valid JSON")
        return next((refusal for rule in RULES if (refusal := rule(request.body, version))), None)

    def echo(self, body: Body) -> Answer:
        said = last_user_text(body["messages"])
        choice, tools = body.get("tool_choice") or {}, body.get("tools") or []
        forced = [tool for tool in tools if choice.get("type") == "any" or tool["name"] == choice.get("name")]
        if forced:
            arguments = sample(forced[0]["input_schema"], said)
            return Answer(tool_calls=(ToolCall(forced[0]["name"], json.dumps(arguments, ensure_ascii=False)),))
        if wanted := (body.get("output_config") or {}).get("format"):
            return Answer(json.dumps(sample(wanted["schema"], said), ensure_ascii=False))
        thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
        return Answer(f"You said: {said}", reasoning="The user wants an echo." if thinks else "")

    def fit(self, body: Body, answer: Answer) -> Answer:
        return answer.within(body["max_tokens"], tuple(body.get("stop_sequences") or ()))

    def whole(self, request: Received, answer: Answer) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning, "signature": "c2lnbmF0dXJl"})
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        for position, call in enumerate(answer.tool_calls):
            content.append({**_tool_use(request, position, call), "input": json.loads(call.arguments or "{}")})
        usage = _usage(answer.cost(request.body))
        return {**_message(request, usage), "content": content, **_ending(answer)}

    def frames(self, request: Received, answer: Answer) -> Frames:
        usage = _usage(answer.cost(request.body))
        opening = _message(request, {**usage, "output_tokens": 1})
        pieces = [piece for block in _stream_blocks(request, answer) for piece in block]
        ending = {"type": "message_delta", "delta": _ending(answer), "usage": usage}
        return Frames(
            "text/event-stream; charset=utf-8",
            tuple(pieces),
            head=_event({"type": "message_start", "message": opening}) + _event({"type": "ping"}),
            tail=_event(ending),
            end=_event({"type": "message_stop"}),
        )

    def refusal(self, status: int, message: str | None = None) -> Refusal:
        kind, words = _WORDS.get(status, ("api_error", "The request was refused."))
        return error(message or words, status, kind)

    def error_event(self, message: str) -> bytes:
        return _event({"type": "error", "error": {"type": "overloaded_error", "message": message}})


def _event(data: dict[str, Any]) -> bytes:
    return sse(data, data["type"])


def _message(request: Received, usage: dict[str, Any]) -> dict[str, Any]:
    identity = {"id": f"msg_{request.number}", "type": "message", "role": "assistant", "model": request.body["model"]}
    return {**identity, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}


def _ending(answer: Answer) -> dict[str, Any]:
    if answer.stopped_by is not None and answer.finished == "stop":
        return {"stop_reason": "stop_sequence", "stop_sequence": answer.stopped_by}
    return {"stop_reason": _STOP_REASONS[answer.finished], "stop_sequence": None}


def _tool_use(request: Received, position: int, call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id or f"toolu_{request.number}_{position}", "name": call.name, "input": {}}


def _stream_blocks(request: Received, answer: Answer) -> list[list[bytes]]:
    """Each content block as pieces of one token; the block's start and stop ride on its first and last."""
    found: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if answer.reasoning:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in tokens(answer.reasoning)]
        found.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if answer.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in tokens(answer.text)]
        found.append(({"type": "text", "text": ""}, deltas))
    for position, call in enumerate(answer.tool_calls):
        deltas = [{"type": "input_json_delta", "partial_json": fragment} for fragment in call.fragments]
        found.append((_tool_use(request, position, call), deltas))
    return [_block(index, start, deltas) for index, (start, deltas) in enumerate(found)]


def _block(index: int, start: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
    pieces = [_event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
    if start["type"] == "thinking":
        signature = {"type": "signature_delta", "signature": "c2lnbmF0dXJl"}
        pieces[-1] += _event({"type": "content_block_delta", "index": index, "delta": signature})
    pieces[0] = _event({"type": "content_block_start", "index": index, "content_block": start}) + pieces[0]
    pieces[-1] += _event({"type": "content_block_stop", "index": index})
    return pieces


def _usage(usage: Usage) -> dict[str, Any]:
    """Anthropic's `input_tokens` are those that were neither read from nor written to the cache."""
    return {
        "input_tokens": usage.uncached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_short_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }

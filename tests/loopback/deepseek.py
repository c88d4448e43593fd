"""api.deepseek.com: OpenAI's form, with thinking on by default and its own refusals.

From api-docs.deepseek.com and users' issues, 2026-11; not compared with live calls. Unknown fields are ignored,
and so is `max_completion_tokens`: only `max_tokens` limits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.core.usage import Usage
from tests.loopback.answer import Answer
from tests.loopback.flavour import Received, Refusal, sse, text_of
from tests.loopback.openai_like import Body, OpenAILike, Rule, cost

_MODELS = ("deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro")
_ROLES = ("system", "user", "assistant", "tool")
_WORDS = {
    401: ("authentication_error", "Authentication Fails, Your api key is invalid"),
    402: ("unknown_error", "Insufficient Balance"),
    429: ("rate_limit_error", "You are sending requests too quickly. Please pace your requests reasonably."),
    500: ("internal_error", "Internal Server Error"),
    503: (
        "service_unavailable_error",
        "Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.",
    ),
}


def error(message: str, status: int = 400, kind: str = "invalid_request_error") -> Refusal:
    body = {"message": message, "type": kind, "param": None, "code": "invalid_request_error"}
    return Refusal(status, {"error": body})


def _roles(body: Body) -> Refusal | None:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return error("Failed to deserialize the JSON body into the target type: missing field `messages`", 422)
    for i, message in enumerate(messages):
        if (role := message.get("role")) not in _ROLES:
            known = ", ".join(f"`{name}`" for name in _ROLES)
            words = f"messages[{i}].role: unknown variant `{role}`, expected one of {known}"
            return error(f"Failed to deserialize the JSON body into the target type: {words}", 422)
    return None if messages else error("Empty input messages")


def _model(body: Body) -> Refusal | None:
    return None if body.get("model") in _MODELS else error("Model Not Exist")


def _count(body: Body) -> Refusal | None:
    return None if body.get("n") in (None, 1) else error("Invalid n value (currently only n = 1 is supported)")


def _format(body: Body) -> Refusal | None:
    kind = (body.get("response_format") or {}).get("type")
    if kind == "json_schema":
        return error("This response_format type is unavailable now")
    said = " ".join(text_of(message.get("content")) for message in body["messages"])
    if kind == "json_object" and "json" not in said.lower():
        return error("Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'.")
    return None


def _limit(body: Body) -> Refusal | None:
    limit = body.get("max_tokens")
    if limit is not None and not 1 <= limit <= 393_216:
        return error("Invalid max_tokens value, the valid range of max_tokens is [1, 393216]")
    return None


def _reasoning_kept(body: Body) -> Refusal | None:
    """In thinking mode a tool loop must send the model's reasoning back; the key must exist, "" is accepted."""
    for i, message in enumerate(body["messages"]):
        if _thinks(body) and message.get("tool_calls") and "reasoning_content" not in message:
            return error(f"Missing `reasoning_content` field in the assistant message at message index {i}.")
    return None


def _forced_tool(body: Body) -> Refusal | None:
    if _thinks(body) and body.get("tool_choice") not in (None, "auto", "none"):
        return error("Thinking mode does not support this tool_choice")
    return None


def _answered_tools(body: Body) -> Refusal | None:
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                return error("Messages with role 'tool' must be a response to a preceding message with 'tool_calls'")
            waiting.remove(message["tool_call_id"])
        elif waiting:
            break
        else:
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
    words = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
    )
    return error(f"{words} (insufficient tool messages following tool_calls message)") if waiting else None


def _thinks(body: Body) -> bool:
    return bool((body.get("thinking") or {"type": "enabled"}).get("type") == "enabled")


_RULES: tuple[Rule, ...] = (_roles, _model, _count, _limit, _format, _reasoning_kept, _forced_tool, _answered_tools)


class DeepSeek(OpenAILike):
    """Thinks aloud in `reasoning_content`, and reports cache hits and misses."""

    chat_paths = frozenset({"/chat/completions", "/v1/chat/completions"})
    rules = _RULES
    limit_fields = ("max_tokens",)
    shows_reasoning = True

    def __init__(self, api_key: str = "sk-loopback-deepseek-0123456789") -> None:
        super().__init__(api_key)

    def lookup(self, request: Received) -> dict[str, Any] | None:
        if request.path not in ("/models", "/v1/models"):
            return None
        return {"object": "list", "data": [{"id": m, "object": "model", "owned_by": "deepseek"} for m in _MODELS]}

    def echo(self, body: Body) -> Answer:
        answer = super().echo(body)
        return replace(answer, reasoning="The user wants an echo.") if _thinks(body) else answer

    def usage(self, usage: Usage) -> dict[str, Any]:
        return {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "prompt_cache_hit_tokens": usage.cache_read_tokens,
            "prompt_cache_miss_tokens": usage.input_tokens - usage.cache_read_tokens,
        }

    def tail(self, request: Received, answer: Answer) -> bytes:
        """Usage rides on the finish chunk, asked for or not."""
        choice = {"index": 0, "delta": {"content": ""}, "logprobs": None, "finish_reason": answer.finished}
        usage = self.usage(cost(request, answer))
        return sse({**self.envelope(request, "chat.completion.chunk"), "choices": [choice], "usage": usage})

    def refusal(self, status: int, message: str | None = None) -> Refusal:
        kind, words = _WORDS.get(status, ("invalid_request_error", "The request was refused."))
        return error(message or words, status, kind)

"""llama-server: OpenAI's form from one local model. From tools/server in llama.cpp, 2026-10.

It checks neither the model's name nor unknown fields, does not honour `tool_choice` (seen with xllamacpp
2026.10.11549), and answers errors with an integer `code`.
"""

from __future__ import annotations

import json
from typing import Any

from gateway.core.usage import Usage
from tests.loopback.answer import prompt_tokens
from tests.loopback.flavour import Received, Refusal
from tests.loopback.openai_like import Body, OpenAILike

_KINDS = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "Invalid API Key"),
    404: ("not_found_error", "File Not Found"),
    500: ("server_error", "Internal server error"),
    503: ("unavailable_error", "Loading model"),
}


def error(message: str, status: int = 400, kind: str = "invalid_request_error", **more: int) -> Refusal:
    return Refusal(status, {"error": {"code": status, "message": message, "type": kind, **more}})


class LlamaCpp(OpenAILike):
    """`loading` may be switched while it runs: 503 until it is false. An empty `api_key` asks for none."""

    chat_paths = frozenset({"/v1/chat/completions", "/chat/completions"})
    shows_reasoning = True
    forces_tools = False

    def __init__(self, api_key: str = "", *, n_ctx: int = 4096, total_slots: int = 4) -> None:
        super().__init__(api_key)
        self.n_ctx = n_ctx
        self.total_slots = total_slots
        self.loading = False

    def credentials(self) -> dict[str, str]:
        return super().credentials() if self.api_key else {}

    def check(self, request: Received) -> Refusal | None:
        if self.loading:
            return self.refusal(503)
        refused = super().check(request)
        if refused is not None or request.path not in self.chat_paths:
            return refused
        return _messages(request.body) or self._fits(request.body)

    def check_key(self, request: Received) -> Refusal | None:
        if not self.api_key or request.path in ("/health", "/v1/models"):
            return None
        return super().check_key(request)

    def _fits(self, body: Body) -> Refusal | None:
        needed = prompt_tokens(body)
        if needed <= self.n_ctx:
            return None
        words = f"request ({needed} tokens) exceeds the available context size ({self.n_ctx} tokens), try increasing it"
        return error(words, 400, "exceed_context_size_error", n_prompt_tokens=needed, n_ctx=self.n_ctx)

    def lookup(self, request: Received) -> dict[str, Any] | None:
        match request.path:
            case "/health":
                return {"status": "ok"}
            case "/props":
                return {"total_slots": self.total_slots, "default_generation_settings": {"n_ctx": self.n_ctx}}
            case "/v1/models":
                model = {"id": "loopback.gguf", "object": "model", "created": 1, "owned_by": "llamacpp"}
                return {"object": "list", "data": [model]}
        return None

    def extras(self, usage: Usage) -> dict[str, Any]:
        counts = {
            "cache_n": usage.cache_read_tokens,
            "prompt_n": usage.uncached_tokens,
            "predicted_n": usage.output_tokens,
        }
        return {"timings": {**counts, "prompt_ms": 1.0, "predicted_ms": 10.0}}

    def envelope(self, request: Received, kind: str) -> dict[str, Any]:
        """A name is optional; without one the answer names the file."""
        return {**super().envelope(request, kind), "model": request.body.get("model", "loopback.gguf")}

    def refusal(self, status: int, message: str | None = None) -> Refusal:
        kind, words = _KINDS.get(status, ("server_error", "The request was refused."))
        return error(message or words, status, kind)

    def error_event(self, message: str) -> bytes:
        """A line that begins with `error:` and not with `data:`."""
        return f"error: {json.dumps(self.refusal(500, message).body['error'])}\n\n".encode()


def _messages(body: Body) -> Refusal | None:
    messages = body.get("messages")
    if messages is None:
        return error('"messages" is required')
    if not isinstance(messages, list):
        return error("Expected 'messages' to be an array")
    missing = any(m.get("content") is None and not m.get("tool_calls") for m in messages)
    return error("Expected 'content' to be a string or an array") if missing else None

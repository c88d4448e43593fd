"""api.openai.com: chat completions, embeddings, models."""

from __future__ import annotations

import base64
import struct
from typing import Any

from tests.loopback.answer import tokens
from tests.loopback.flavour import Received, Refusal
from tests.loopback.openai_like import CREATED, OpenAILike
from tests.loopback.openai_rules import RULES, error

_WORDS = {
    400: ("invalid_request_error", None, "Invalid request."),
    404: ("invalid_request_error", None, "Invalid URL"),
    429: (
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for gpt-5.4-mini on requests per min (RPM): Limit 3, Used 3.",
    ),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("service_unavailable_error", None, "The engine is currently overloaded, please try again later."),
}
_DIMENSIONS = 8


class OpenAI(OpenAILike):
    """Strict about every field. Reasoning models are those named `gpt-5` and up, or `o` and a digit."""

    chat_paths = frozenset({"/v1/chat/completions"})
    base_path = "/v1"
    rules = RULES

    def __init__(self, api_key: str = "sk-loopback-openai-0123456789") -> None:
        super().__init__(api_key)

    def check_key(self, request: Received) -> Refusal | None:
        given = request.headers.get("authorization")
        if given is None:
            return error(
                "You didn't provide an API key. You need to provide your API key in an Authorization header.",
                status=401,
            )
        if given == f"Bearer {self.api_key}":
            return None
        shown = given.removeprefix("Bearer ")
        words = f"Incorrect API key provided: {shown[:8]}***{shown[-4:]}."
        return error(words, None, "invalid_api_key", 401)

    def lookup(self, request: Received) -> dict[str, Any] | None:
        if request.path == "/v1/models":
            model = {"id": "gpt-5.4-mini", "object": "model", "created": CREATED, "owned_by": "openai"}
            return {"object": "list", "data": [model]}
        if request.path == "/v1/embeddings" and isinstance(request.body, dict):
            return _embeddings(request.body)
        return None

    def headers(self, request: Received) -> dict[str, str]:
        limits = {"x-ratelimit-limit-requests": "5000", "x-ratelimit-remaining-requests": "4999"}
        return {**super().headers(request), "openai-version": "2020-10-01", "openai-processing-ms": "5", **limits}

    def refusal(self, status: int, message: str | None = None) -> Refusal:
        kind, code, words = _WORDS.get(status, ("invalid_request_error", None, "The request was refused."))
        return error(message or words, None, code, status, kind)


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Vectors that depend on the text only; `base64` is little-endian float32, as the SDK asks for."""
    given = body["input"]
    texts = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    vectors = [_vector(text, body.get("dimensions") or _DIMENSIONS) for text in texts]
    if body.get("encoding_format") == "base64":
        shown: list[Any] = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
    else:
        shown = vectors
    rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(shown)]
    spent = sum(len(tokens(text)) if isinstance(text, str) else len(text) for text in texts)
    usage = {"prompt_tokens": spent, "total_tokens": spent}
    return {"object": "list", "data": rows, "model": body["model"], "usage": usage}


def _vector(text: str | list[int], dimensions: int) -> list[float]:
    values = text.encode() if isinstance(text, str) else text
    return [round(sum(values[i::dimensions]) % 997 / 997, 6) for i in range(dimensions)]

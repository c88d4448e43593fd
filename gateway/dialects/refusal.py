"""What a provider's refusal means: one table by status, one by error type, for every dialect.

A provider's text is passed on only where it is about the client's own request (400, 404, 413, 422), with anything
that looks like a key taken out. Everything else is said in our own words: an HTML page of a proxy, a billing notice
or our masked key is none of the client's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.errors import (
    UpstreamAuth,
    UpstreamContextLength,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)

_BY_STATUS: Mapping[int, type[UpstreamError]] = {
    400: UpstreamRejected,
    401: UpstreamAuth,
    402: UpstreamOverloaded,  # our account is empty (DeepSeek "Insufficient Balance", Anthropic billing)
    403: UpstreamAuth,
    404: UpstreamRejected,
    408: UpstreamTimeout,
    413: UpstreamRejected,
    422: UpstreamRejected,
    429: UpstreamRateLimited,
    503: UpstreamOverloaded,
    504: UpstreamTimeout,
    529: UpstreamOverloaded,  # Anthropic
}

_OWN_WORDS: Mapping[type[UpstreamError], str] = {
    UpstreamAuth: "The provider refused the gateway's credentials.",
    UpstreamOverloaded: "The provider cannot take the request now.",
    UpstreamRateLimited: "The provider's rate limit is reached.",
    UpstreamTimeout: "The provider timed out.",
}

# An error inside a stream has no status; its type stands for one, or else its code (DeepSeek's code is
# "invalid_request_error" whatever happened). Names from the vendors' error pages (OpenAI, Anthropic, DeepSeek) and
# llama.cpp's server source, read 2026-11.
_STATUS_BY_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "exceed_context_size_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "insufficient_quota": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "api_error": 500,
    "internal_error": 500,
    "server_error": 500,
    "service_unavailable_error": 503,
    "unavailable_error": 503,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
# Anthropic and DeepSeek have no code for it: "prompt is too long: 210000 tokens > 200000 maximum", "input length and
# `max_tokens` exceed context limit: ...", "This model's maximum context length is 131072 tokens. However, ...".
_OVERFLOW_TEXT = re.compile(r"prompt is too long|maximum context length|exceeds? (the )?(available )?context", re.I)
_KEY = re.compile(r"\b(sk-|Bearer\s+)[^\s\"',;)]+", re.I)
_MAX_MESSAGE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Reason:
    """A provider's error object, whatever it looks like. `names` are its type and its code, in this order; integer
    codes (llama.cpp) are kept apart as `status`."""

    message: str = ""
    names: tuple[str, ...] = ()
    param: str | None = None
    status: int | None = None

    @classmethod
    def read(cls, error: object) -> Reason:
        """From the value under `error`: an object, a bare string, or anything else (which says nothing)."""
        if isinstance(error, str):
            return cls(error)
        if not isinstance(error, Mapping):
            return cls()
        message, param, code = error.get("message"), error.get("param"), error.get("code")
        return cls(
            message=message if isinstance(message, str) else "",
            names=tuple(name for name in (error.get("type"), code) if isinstance(name, str)),
            param=param if isinstance(param, str) else None,
            status=code if isinstance(code, int) and not isinstance(code, bool) else None,
        )

    @property
    def overflow(self) -> bool:
        return bool(_OVERFLOW_CODES.intersection(self.names) or _OVERFLOW_TEXT.search(self.message))


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """An HTTP answer that is not a success. Header names are lower case."""
    reason = Reason.read(_error_in(body))
    # An exhausted account answers 429 at OpenAI; waiting as for a rate limit would not help.
    meaning = 402 if status == 429 and "insufficient_quota" in reason.names else status
    return _refused(meaning, reason, upstream_status=status, retry_after_s=retry_after_s(headers))


def refusal_in_stream(error: object) -> UpstreamError:
    """An error told after the answer had begun with a 200."""
    reason = Reason.read(error)
    known = (_STATUS_BY_TYPE[name] for name in reason.names if name in _STATUS_BY_TYPE)
    return _refused(next(known, reason.status or 500), reason, reached=True)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds the provider asks us to wait; `retry-after-ms` is the finer word. A date would need a clock: None."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers[name]) * unit_s
        except (KeyError, ValueError):
            continue
        if 0 <= wait_s < float("inf"):
            return wait_s
    return None


def _refused(status: int, reason: Reason, **facts: Any) -> UpstreamError:
    kind = _BY_STATUS.get(status, UpstreamError)
    if kind is not UpstreamRejected:
        return kind(_OWN_WORDS.get(kind, "The provider failed."), **facts)
    if reason.overflow:
        kind = UpstreamContextLength
    text = _KEY.sub("[redacted]", reason.message).strip()[:_MAX_MESSAGE_CHARS]
    return kind(text or "The provider refused the request and gave no reason.", param=reason.param, **facts)


def _error_in(body: bytes) -> object:
    """What stands under `error`. Not JSON, as an HTML page, is no error object and says nothing."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    return parsed.get("error", parsed) if isinstance(parsed, dict) else None

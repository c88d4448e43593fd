"""What the endpoints of one vendor's API have in common: how an error looks, how limits and the request id are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.core.errors import ThriftgateError
from gateway.core.limits import Rate

_BUG = "The gateway failed. The log has the cause under this request id."


@dataclass(frozen=True, slots=True)
class Api:
    """`failure` takes an error and the request's id, `limit_headers` what is left of a rate and the Unix second.
    `request_id_header` is where the vendor's SDK looks for that id; `x-request-id` is sent in any case."""

    failure: Callable[[ThriftgateError, str], dict[str, Any]]
    limit_headers: Callable[[Rate, float], dict[str, str]]
    request_id_header: str = "x-request-id"


def bug() -> ThriftgateError:
    """What a client hears of a bug: no internals."""
    return ThriftgateError(_BUG)


def openai_failure(error: ThriftgateError, request_id: str = "") -> dict[str, Any]:
    """OpenAI's shape; the id is only in a header there."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


# The types of Anthropic's error page and SDK (2.12), read 2026-11. Its own 529 is our 503.
_ANTHROPIC_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def anthropic_failure(error: ThriftgateError, request_id: str) -> dict[str, Any]:
    """Anthropic's shape. It has no `param` and no `code`: the message names the field."""
    fallback = "invalid_request_error" if error.status < 500 else "api_error"
    kind = _ANTHROPIC_TYPES.get(error.status, fallback)
    return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": request_id}


def openai_limits(rate: Rate, now_s: float) -> dict[str, str]:
    """As OpenAI's rate limit guide has them (read 2026-11): the reset is when all of the limit is there again."""
    return {
        "x-ratelimit-limit-requests": str(rate.limit),
        "x-ratelimit-remaining-requests": str(rate.remaining),
        "x-ratelimit-reset-requests": _duration(rate.reset_s),
    }


def anthropic_limits(rate: Rate, now_s: float) -> dict[str, str]:
    """Anthropic's, whose reset is a moment (RFC 3339), beside OpenAI's for whoever watches all endpoints alike."""
    reset = datetime.fromtimestamp(math.ceil(now_s + rate.reset_s), UTC)
    return openai_limits(rate, now_s) | {
        "anthropic-ratelimit-requests-limit": str(rate.limit),
        "anthropic-ratelimit-requests-remaining": str(rate.remaining),
        "anthropic-ratelimit-requests-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _duration(seconds: float) -> str:
    """`1s`, `6m0s`: whole seconds, rounded up."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


OPENAI = Api(openai_failure, openai_limits)
ANTHROPIC = Api(anthropic_failure, anthropic_limits, request_id_header="request-id")

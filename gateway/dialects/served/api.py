"""What the endpoints of one vendor's API have in common: how an error looks, and how the request id is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.errors import ThriftgateError

_BUG = "The gateway failed. The log has the cause under this request id."


@dataclass(frozen=True, slots=True)
class Api:
    """`failure` takes an error and the request's id. `request_id_header` is where the vendor's SDK looks for that id;
    `x-request-id` is sent in any case."""

    failure: Callable[[ThriftgateError, str], dict[str, Any]]
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


OPENAI = Api(openai_failure)
ANTHROPIC = Api(anthropic_failure, request_id_header="request-id")

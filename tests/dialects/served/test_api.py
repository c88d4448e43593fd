"""How errors look in each vendor's API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.core import errors
from gateway.core.budget import Budget
from gateway.core.limits import Rate
from gateway.core.window import WindowRule
from gateway.dialects.served.api import ANTHROPIC, OPENAI, bug


def every(root: type[errors.ThriftgateError] = errors.ThriftgateError) -> Iterator[type[errors.ThriftgateError]]:
    yield root
    for child in root.__subclasses__():
        yield from every(child)


def made(error: type[errors.ThriftgateError], message: str) -> errors.ThriftgateError:
    if issubclass(error, errors.BudgetExceeded):
        return error(message, budget=Budget("shop", WindowRule("day"), tokens=1), kind="tokens")
    return error(message)


def test_openais_error_has_its_four_fields() -> None:
    error = errors.UnsupportedParameter("No.", param="n")
    body = OPENAI.failure(error, "req_1")
    expected = {"message": "No.", "type": "invalid_request_error", "param": "n", "code": "unsupported_parameter"}
    assert body == {"error": expected}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidRequest, "invalid_request_error"),
        (errors.Unauthenticated, "authentication_error"),
        (errors.Forbidden, "permission_error"),
        (errors.ModelNotFound, "not_found_error"),
        (errors.MethodNotAllowed, "invalid_request_error"),
        (errors.RequestTooLarge, "request_too_large"),
        (errors.BudgetExceeded, "rate_limit_error"),
        (errors.UpstreamOverloaded, "overloaded_error"),
        (errors.UpstreamTimeout, "timeout_error"),
        (errors.UpstreamAuth, "api_error"),
    ],
)
def test_anthropics_error_has_its_own_type(error: type[errors.ThriftgateError], kind: str) -> None:
    body = ANTHROPIC.failure(made(error, "No."), "req_1")
    assert body == {"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "req_1"}


def test_no_error_of_ours_is_without_an_anthropic_type() -> None:
    types = {ANTHROPIC.failure(made(error, "x"), "r")["error"]["type"] for error in every()}
    assert all(kind.endswith("_error") or kind == "request_too_large" for kind in types)


def test_a_bug_tells_no_internals_in_either_shape() -> None:
    assert OPENAI.failure(bug(), "r")["error"]["type"] == "server_error"
    assert ANTHROPIC.failure(bug(), "r")["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    ("reset_s", "said"), [(0.0, "0s"), (0.02, "1s"), (59.0, "59s"), (59.001, "1m0s"), (61.0, "1m1s"), (360.0, "6m0s")]
)
def test_a_rate_is_told_in_openais_form(reset_s: float, said: str) -> None:
    assert OPENAI.limit_headers(Rate(60, 59, reset_s), 0.0) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": said,
    }


def test_a_rate_is_told_in_anthropics_form_too() -> None:
    told = ANTHROPIC.limit_headers(Rate(60, 59, 1.5), 1_800_000_000.0)
    assert told["anthropic-ratelimit-requests-limit"] == "60"
    assert told["anthropic-ratelimit-requests-remaining"] == "59"
    assert told["anthropic-ratelimit-requests-reset"] == "2027-01-15T08:00:02Z"
    assert told["x-ratelimit-reset-requests"] == "2s"

"""How errors look in each vendor's API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.core import errors
from gateway.dialects.served.api import ANTHROPIC, OPENAI, bug


def every(root: type[errors.ThriftgateError] = errors.ThriftgateError) -> Iterator[type[errors.ThriftgateError]]:
    yield root
    for child in root.__subclasses__():
        yield from every(child)


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
    body = ANTHROPIC.failure(error("No."), "req_1")
    assert body == {"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "req_1"}


def test_no_error_of_ours_is_without_an_anthropic_type() -> None:
    types = {ANTHROPIC.failure(error("x"), "r")["error"]["type"] for error in every()}
    assert all(kind.endswith("_error") or kind == "request_too_large" for kind in types)


def test_a_bug_tells_no_internals_in_either_shape() -> None:
    assert OPENAI.failure(bug(), "r")["error"]["type"] == "server_error"
    assert ANTHROPIC.failure(bug(), "r")["error"]["type"] == "api_error"

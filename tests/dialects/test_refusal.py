"""What a provider's refusal becomes: status by status, and in streams."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import (
    UpstreamAuth,
    UpstreamContextLength,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway.dialects.refusal import refusal, refusal_in_stream
from tests.dialects.cassette import dialect_of, read


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamRejected),
        (401, UpstreamAuth),
        (402, UpstreamOverloaded),
        (403, UpstreamAuth),
        (404, UpstreamRejected),
        (408, UpstreamTimeout),
        (409, UpstreamError),
        (413, UpstreamRejected),
        (418, UpstreamError),
        (422, UpstreamRejected),
        (429, UpstreamRateLimited),
        (500, UpstreamError),
        (502, UpstreamError),
        (503, UpstreamOverloaded),
        (504, UpstreamTimeout),
        (529, UpstreamOverloaded),
    ],
)
def test_each_status_has_its_class(status: int, kind: type[UpstreamError]) -> None:
    error = refusal(status, {}, b'{"error":{"message":"why"}}')
    assert type(error) is kind
    assert error.upstream_status == status
    assert not error.reached


def test_a_rejection_keeps_the_providers_reason_and_parameter() -> None:
    error = dialect_of("openai/").error(400, {}, read("openai/unsupported_value.json"))
    assert "'temperature' does not support 0.2" in error.message
    assert error.param == "temperature"


@pytest.mark.parametrize("name", ["openai/overflow.json", "deepseek/overflow.json", "anthropic/overflow.json"])
def test_an_overflow_is_told_as_such_and_another_model_may_be_tried(name: str) -> None:
    error = dialect_of(name).error(400, {}, read(name))
    assert isinstance(error, UpstreamContextLength)
    assert error.code == "context_length_exceeded"
    assert error.try_next
    assert not error.try_again


def test_our_key_never_appears() -> None:
    body = read("openai/invalid_key.json")
    assert "sk-" not in dialect_of("openai/").error(401, {}, body).message
    rejected = dialect_of("openai/").error(400, {}, body)
    assert "sk-" not in rejected.message
    assert "[redacted]" in rejected.message


@given(st.from_regex(r"sk-[A-Za-z0-9_-]{8,60}", fullmatch=True), st.sampled_from(["", "'", '"', "(", "key="]))
def test_whatever_looks_like_a_key_is_taken_out(key: str, before: str) -> None:
    body = orjson.dumps({"error": {"message": f"bad key {before}{key} given, Bearer {key}"}})
    assert key not in refusal(400, {}, body).message
    assert key not in refusal_in_stream(orjson.loads(body)["error"] | {"type": "invalid_request_error"}).message


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502])
@pytest.mark.parametrize("body", [b"<html><h1>nginx at 10.0.0.7</h1></html>", b"", b"\xff\xfe", b"[]", b"null", b'"x"'])
def test_a_page_that_is_no_error_object_is_never_relayed(status: int, body: bytes) -> None:
    message = refusal(status, {}, body).message
    assert "nginx" not in message
    assert message.endswith(".")


def test_only_rejections_relay_the_providers_text() -> None:
    body = b'{"error":{"message":"shard 7 of cluster eu-3 is down"}}'
    for status in (401, 402, 403, 408, 429, 500, 503, 529):
        assert "shard" not in refusal(status, {}, body).message


def test_a_very_long_reason_is_shortened() -> None:
    assert len(refusal(400, {}, orjson.dumps({"error": {"message": "x" * 100_000}})).message) <= 2000


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_the_providers_word_on_when_to_retry_is_kept(headers: dict[str, str], expected: float | None) -> None:
    assert refusal(429, headers, read("openai/rate_limit.json")).retry_after_s == expected


def test_an_exhausted_account_is_not_a_rate_limit() -> None:
    error = refusal(429, {}, read("openai/quota.json"))
    assert isinstance(error, UpstreamOverloaded)
    assert error.upstream_status == 429
    assert isinstance(refusal(402, {}, read("deepseek/balance.json")), UpstreamOverloaded)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, UpstreamOverloaded),
        ({"type": "rate_limit_error"}, UpstreamRateLimited),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, UpstreamRateLimited),
        ({"type": "authentication_error"}, UpstreamAuth),
        ({"type": "invalid_request_error", "message": "no"}, UpstreamRejected),
        ({"type": "invalid_request_error", "code": "context_length_exceeded"}, UpstreamContextLength),
        ({"type": "api_error", "message": "Internal"}, UpstreamError),
        ({"type": "internal_error", "code": "invalid_request_error"}, UpstreamError),
        ({"code": 503, "type": "something new"}, UpstreamOverloaded),
        ({"code": 500, "type": "server_error"}, UpstreamError),
        ("a bare string", UpstreamError),
        (None, UpstreamError),
    ],
)
def test_an_error_in_a_stream_is_known_by_its_type_or_integer_code(error: object, kind: type[UpstreamError]) -> None:
    told = refusal_in_stream(error)
    assert type(told) is kind
    assert told.reached
    assert told.upstream_status is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 600) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["error", "message", "type", "code", "param"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.integers(400, 599), JSON)
def test_any_error_body_becomes_an_upstream_error(status: int, body: object) -> None:
    assert isinstance(refusal(status, {}, orjson.dumps(body)), UpstreamError)
    assert isinstance(refusal_in_stream(body), UpstreamError)

"""Checks 40 to 55: what goes wrong, before the first chunk, in the middle of a stream, and in the client itself."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from tests import loopback
from tests.checks.case import Case, frames, keyed, on, streamed, whole
from tests.fixtures.gateway import chat

ERROR_FIELDS = {"message", "type", "param", "code"}
TOKENS = 2


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error object, held to OpenAI's shape."""
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == ERROR_FIELDS
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert error["code"] is None or isinstance(error["code"], str)
    return error


@keyed
@pytest.mark.parametrize("key", ["wrong", ""], ids=["wrong", "missing"])
async def test_40_a_bad_key_is_a_401(case: Case, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    response = await case.gateway.ask("Hello", case.model, headers, stream=case.streamed)
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"
    assert not case.upstream.requests


async def test_41_an_unknown_model_is_a_404(case: Case) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        await case.ask("Hello", model="gpt-none")
    assert refused.value.code == "model_not_found"


@on("openai")
@pytest.mark.parametrize(
    "body",
    [
        b"{not json",
        b"[]",
        b"null",
        b'"text"',
        b"",
        b"\xff\xfe",
        b"{}",
        b'{"model": "local"}',
        b'{"model": "local", "messages": "hello"}',
        b'{"model": "local", "messages": [null]}',
        b'{"model": 7, "messages": [{"role": "user", "content": "x"}]}',
        b'{"model": "local", "messages": [{"role": "user", "content": [1]}]}',
        b'{"model": "local", "messages": [{"role": "user", "content": "x"}], "tools": {}}',
        b'{"model": "local", "messages": [{"role": "user", "content": "x"}], "stream_options": 1}',
    ],
)
@whole
async def test_42_a_bad_body_is_a_400(case: Case, body: bytes) -> None:
    response = await case.gateway.http.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    error_of(response)


@on("openai")
@whole
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/chat/completions", 405), ("POST", "/v1/nothing", 404), ("DELETE", "/v1/models", 405)],
)
async def test_43_wrong_paths_and_verbs_are_in_the_error_shape(case: Case, method: str, path: str, status: int) -> None:
    response = await case.gateway.http.request(method, path)
    assert response.status_code == status
    error_of(response)


async def test_44_a_rate_limit_keeps_its_retry_after(case: Case) -> None:
    case.upstream.always(loopback.rate_limited(7))
    with pytest.raises(openai.RateLimitError) as refused:
        await case.ask("Hello")
    assert refused.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [500, 502, 503, 529, 402])
async def test_45_a_providers_failure_is_a_5xx(case: Case, status: int) -> None:
    case.upstream.always(loopback.Refuse(status))
    response = await case.wire()
    assert response.status_code in (502, 503)
    error_of(response)


@pytest.mark.parametrize("status", [200, 502])
async def test_45_an_html_page_is_a_5xx_without_its_html(case: Case, status: int) -> None:
    case.upstream.always(loopback.Respond(status, b"<html>maintenance</html>"))
    response = await case.wire()
    assert response.status_code == 502
    assert "<html>" not in error_of(response)["message"]


async def test_46_a_providers_401_is_not_the_clients(case: Case) -> None:
    case.upstream.always(loopback.Refuse(401))
    response = await case.wire()
    assert response.status_code == 502
    assert error_of(response)["code"] == "upstream_auth"
    assert case.upstream.api_key not in response.text or not case.upstream.api_key


@streamed
async def test_47_an_error_before_the_first_chunk_is_a_real_status(case: Case) -> None:
    case.upstream.always(loopback.Fail(0))
    response = await case.wire()
    assert response.status_code >= 500
    error_of(response)


@streamed
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_48_a_cut_after_the_first_chunk_is_an_error_frame(case: Case, reset: bool) -> None:
    case.upstream.always(loopback.Cut(TOKENS, reset=reset))
    response = await case.wire("one two three four")
    assert response.status_code == 200
    assert "[DONE]" not in response.text
    assert set(frames(response)[-1]["error"]) == ERROR_FIELDS


@whole
async def test_48_a_whole_answer_that_is_cut_is_a_502(case: Case) -> None:
    case.upstream.always(loopback.Cut(TOKENS))
    response = await case.wire("one two three four")
    assert response.status_code == 502
    error_of(response)


@streamed
@pytest.mark.parametrize("after_tokens", [None, TOKENS], ids=["no-terminal-event", "early"])
async def test_49_an_upstream_that_merely_ends_is_an_error(case: Case, after_tokens: int | None) -> None:
    case.upstream.always(loopback.Unfinished(after_tokens))
    stream = await case.sdk.chat.completions.create(**chat("one two three four", case.model), stream=True)
    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass


@streamed
async def test_50_an_error_event_in_the_stream_surfaces(case: Case) -> None:
    case.upstream.always(loopback.Fail(TOKENS))
    stream = await case.sdk.chat.completions.create(**chat("one two three four", case.model), stream=True)
    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass


@streamed
@pytest.mark.parametrize("data", [b"data: {oops\n\n", b"data: 7\n\n", b"data: \xff\xfe\n\n"], ids=["cut", "7", "bytes"])
async def test_51_a_malformed_event_is_an_error(case: Case, data: bytes) -> None:
    case.upstream.always(loopback.Insert(data, after_tokens=TOKENS))
    response = await case.wire("one two three four")
    assert "[DONE]" not in response.text
    assert set(frames(response)[-1]["error"]) == ERROR_FIELDS


@streamed
async def test_51_an_unknown_line_is_passed_over(case: Case) -> None:
    case.upstream.always(loopback.Insert(b"id: 7\nretry: 100\nhm\n\n", after_tokens=TOKENS))
    assert (await case.ask("one two three")).choices[0].message.content == "You said: one two three"


async def test_52_keep_alives_are_no_answer(case: Case) -> None:
    case.upstream.always(loopback.KeepAlives(3))
    response = await case.wire()
    assert response.status_code == 200
    said = frames(response) if case.streamed else [response.json()]
    assert all(frame["choices"] for frame in said)
    assert "keep-alive" not in response.text


OVERFLOWS: dict[str, loopback.Step] = {
    "openai": loopback.Respond(
        400,
        b'{"error": {"message": "This model\'s maximum context length is 922000 tokens.", '
        b'"type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}',
        {"content-type": "application/json"},
    ),
    "deepseek": loopback.Refuse(
        400, "This model's maximum context length is 131072 tokens. However, you asked 140000."
    ),
    "anthropic": loopback.Refuse(400, "prompt is too long: 210000 tokens > 200000 maximum"),
}


async def test_53_an_overflow_has_its_code(case: Case) -> None:
    if case.backend in OVERFLOWS:  # llama.cpp's imitation counts by itself
        case.upstream.always(OVERFLOWS[case.backend])
    with pytest.raises(openai.BadRequestError) as refused:
        await case.ask("word " * 5_000)
    assert refused.value.code == "context_length_exceeded"


async def test_54_every_response_has_a_request_id(case: Case) -> None:
    answers = [
        await case.wire(),
        await case.gateway.ask("Hello", "no-such-model", stream=case.streamed),
        await case.gateway.http.get("/v1/models"),
        await case.gateway.http.get("/v1/nothing"),
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    answer = await case.sdk.chat.completions.with_raw_response.create(**chat("Hello", case.model))
    assert answer.request_id


@keyed
async def test_55_nothing_of_the_client_goes_upstream(case: Case) -> None:
    headers = {
        "authorization": "Bearer key-a",
        "cookie": "session=secret",
        "openai-organization": "org-secret",
        "x-forwarded-for": "10.0.0.7",
        "x-custom": "secret",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
    response = await case.gateway.ask("Hello", case.model, headers, stream=case.streamed, thriftgate={"tags": ["a"]})
    assert response.status_code == 200
    received = case.upstream.requests[-1]
    sent = json.dumps([dict(received.headers), received.body])
    assert not [word for word in ("secret", "key-a", "10.0.0.7", 'thriftgate": {') if word in sent]
    assert "set-cookie" not in response.headers
    assert not case.upstream.api_key or case.upstream.api_key not in json.dumps(dict(response.headers))

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType

import pytest

from gateway.adapters.key_file import KeyFile
from gateway.adapters.watched_keys import WatchedKeys
from gateway.core.errors import LimitExceeded
from gateway.core.plan import Catalog
from gateway.http.admin import Metrics, admin_app
from gateway.http.auth import Keyring
from gateway.http.behind import Message
from gateway.http.exchange import Exchange
from gateway.http.front import Front, Route
from gateway.http.serving import Readiness, Serving
from gateway.service_catalog import ANONYMOUS
from tests.fixtures.semantic import EventList, HandClock
from tests.http.serving import Listening, Reply, request, serving

SECRET = "sk-very-secret-9f3a"


class Lifetime:
    """Counts, and fails if it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        self.calls.append("stop")


class Routes:
    """Hot routes, one for each way to end; `bodies` are what /echo was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def echo(self, exchange: Exchange) -> None:
        self.bodies.append(await exchange.body(1_000))
        await exchange.respond(200, {}, self.bodies[-1])

    async def limit(self, exchange: Exchange) -> None:
        raise LimitExceeded("Too many.", retry_after_s=3)

    async def crash(self, exchange: Exchange) -> None:
        raise RuntimeError(SECRET)

    async def crash_late(self, exchange: Exchange) -> None:
        await exchange.start(200, {"content-type": "text/event-stream"})
        await exchange.write(b"data: 1\n\n")
        raise RuntimeError(SECRET)


async def broken_metrics() -> bytes:
    raise RuntimeError(SECRET)


async def forget_nothing(owner: str | None, key: str | None) -> int:
    return 0


def front(routes: Routes, lifetime: Lifetime | None = None) -> Front:
    clock = HandClock()
    keys = WatchedKeys(KeyFile(Path("/nonexistent/keys.json"), clock), EventList(), clock)
    keyring = Keyring({}, {}, keys, clock, anonymous=ANONYMOUS)
    metrics = Metrics(broken_metrics, "text/plain")
    readiness = Readiness(dict, lambda: MappingProxyType({"openai": "OPENAI_API_KEY is not set"}))
    serving_now = Serving(
        Catalog(()), (), keyring, {}, forget_nothing, readiness, public_metrics=True, on_loopback=True
    )
    behind = admin_app(lambda: serving_now, metrics, 0)
    paths = {"/echo": routes.echo, "/limit": routes.limit, "/crash": routes.crash, "/crash-late": routes.crash_late}
    return Front({path: Route(handle) for path, handle in paths.items()}, behind, lifetime or Lifetime())


@pytest.fixture
def routes() -> Routes:
    return Routes()


@pytest.fixture
async def listening(routes: Routes) -> AsyncIterator[Listening]:
    async with serving(front(routes), "on") as listening:
        yield listening


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/echo", 200),
        ("POST", "/limit", 429),
        ("POST", "/crash", 500),
        ("GET", "/echo", 405),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/openapi.json", 200),
        ("POST", "/healthz", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/metrics", 500),
        ("OPTIONS", "/v1/models", 405),
    ],
)
async def test_every_response_has_one_request_id(listening: Listening, method: str, path: str, status: int) -> None:
    answer = await listening.ask(method, path)
    assert answer.status == status
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/echo", 405, "method_not_allowed"),
        ("DELETE", "/echo", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/v1/chat/completion", 404, "not_found"),
        ("POST", "/echo/", 404, "not_found"),
        ("GET", "/v1/models/gpt-77", 404, "model_not_found"),
        ("POST", "/limit", 429, "rate_limit_exceeded"),
    ],
)
async def test_every_refusal_has_openais_shape(
    listening: Listening, method: str, path: str, status: int, code: str
) -> None:
    answer = await listening.ask(method, path)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"


async def test_a_refusal_says_when_to_come_back(listening: Listening) -> None:
    assert (await listening.ask("POST", "/limit")).headers["retry-after"] == "3"


# bugs


def assert_says_nothing(answer: Reply) -> None:
    assert answer.status == 500
    assert (answer.error["type"], answer.error["code"]) == ("server_error", None)
    assert "request id" in answer.error["message"]
    assert SECRET.encode() not in answer.body
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(("method", "path"), [("POST", "/crash"), ("GET", "/metrics")])
async def test_a_bug_is_a_500_that_says_nothing_but_its_id_which_the_log_has_too(
    listening: Listening, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    answer = await listening.ask(method, path)
    assert_says_nothing(answer)
    (record,) = [record for record in caplog.records if record.name == "thriftgate"]
    assert record.levelno == logging.ERROR
    assert answer.headers["x-request-id"] in record.getMessage()
    assert record.exc_info is not None
    assert SECRET in str(record.exc_info[1])


async def test_a_bug_in_the_middle_of_an_answer_cuts_it_off(listening: Listening) -> None:
    raw = await listening.say(request("POST", "/crash-late"))
    assert b"data: 1" in raw
    assert not raw.endswith(b"0\r\n\r\n")
    assert SECRET.encode() not in raw


async def test_after_a_bug_the_next_request_is_served(listening: Listening) -> None:
    await listening.ask("POST", "/crash")
    assert (await listening.ask("POST", "/echo", b"still here")).body == b"still here"


# requests that hide another request

HIDDEN = b"POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 6\r\n\r\nhidden"
SMUGGLED = [
    b"content-length: %d\r\ntransfer-encoding: chunked",
    b"transfer-encoding: chunked\r\ncontent-length: %d",
    b"content-length: 5\r\ncontent-length: %d",
    b"content-length: %d\r\ntransfer-encoding: xchunked",
    b"content-length: %d\r\ntransfer-encoding : chunked",
    b"content-length: %d\r\ntransfer-encoding: chunked, identity",
    b"content-length: %d\r\ntransfer-encoding: identity, chunked",
    b"content-length: %d\r\ntransfer-encoding:\x0bchunked",
    b"content-length: %d\r\ntransfer-encoding:\r\n chunked",
    b"content-length: +%d",
    b"content-length: 0x%d",
    b"content-length: 5, %d",
]


@pytest.mark.parametrize("headers", SMUGGLED, ids=lambda headers: headers.decode("latin-1").replace("%d", "N"))
async def test_a_request_hidden_in_a_body_is_never_run(listening: Listening, routes: Routes, headers: bytes) -> None:
    body = b"0\r\n\r\n" + HIDDEN
    head = b"POST /echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\n" + headers % len(body) + b"\r\n\r\n"
    raw = await listening.say(head + body)
    assert raw.startswith(b"HTTP/1.1 400")
    assert routes.bodies == []


# lifetime


async def test_what_was_started_is_stopped_once() -> None:
    lifetime = Lifetime()
    async with serving(front(Routes(), lifetime), "on") as listening:
        assert (await listening.ask("GET", "/healthz")).json() == {"status": "ok"}
        assert lifetime.calls == ["start"]
    assert lifetime.calls == ["start", "stop"]


async def test_a_start_that_fails_is_reported_logged_and_still_stops(caplog: pytest.LogCaptureFixture) -> None:
    """Without a server: uvicorn would exit the process, as it should."""
    lifetime, sent = Lifetime(OSError("no space left")), list[Message]()

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    await front(Routes(), lifetime)({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed"}]
    assert lifetime.calls == ["start", "stop"]
    assert "no space left" in caplog.text

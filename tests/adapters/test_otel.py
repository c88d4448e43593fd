from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from gateway.adapters.clock import SystemClock
from gateway.adapters.otel import MOST_WAITING, Traces
from gateway.core.events import AttemptFailed, RequestFinished
from gateway.core.trace_context import TraceParent
from tests.adapters.happened import ANSWERED

CALLER = TraceParent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
FAILED = AttemptFailed("req_1", "opus", "far", "upstream_timeout")
NOON_S = 1_795_435_200.0


class Noon(SystemClock):
    def unix_s(self) -> float:
        return NOON_S


class Collector:
    """OTLP over HTTP: keeps the spans it is sent, and answers with these statuses, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.spans: list[dict[str, Any]] = []
        self.came = asyncio.Event()
        self.requests: list[str] = []
        self.url = ""
        self._statuses = list(statuses)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        self.requests.append(head)
        status = self._statuses.pop(0) if self._statuses else 200
        writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}" % status)
        await writer.drain()
        writer.close()
        if status == 200:
            (resource,) = body["resourceSpans"]
            (scope,) = resource["scopeSpans"]
            assert told(resource["resource"]) == {"service.name": "thriftgate"}
            self.spans += scope["spans"]
            self.came.set()


@asynccontextmanager
async def collecting(*statuses: int) -> AsyncIterator[Collector]:
    collector = Collector(*statuses)
    async with await asyncio.start_server(collector.answer, "127.0.0.1", 0) as server:
        collector.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield collector


def told(span: dict[str, Any]) -> dict[str, Any]:
    """Its attributes, each by its only value."""
    return {row["key"]: next(iter(row["value"].values())) for row in span["attributes"]}


async def traced(*events: RequestFinished | AttemptFailed, share: float = 1.0) -> list[dict[str, Any]]:
    async with collecting() as collector:
        traces = Traces(collector.url, share, Noon())
        for event in events:
            traces.tell(event)
        await traces.stop()
    return collector.spans


async def test_a_request_is_a_span_and_its_attempt_a_child() -> None:
    request, attempt = await traced(ANSWERED)
    assert (request["name"], request["kind"], attempt["name"], attempt["kind"]) == ("chat", 2, "chat flash", 3)
    assert request["traceId"] == attempt["traceId"]
    assert attempt["parentSpanId"] == request["spanId"]
    assert "parentSpanId" not in request
    assert int(request["endTimeUnixNano"]) == NOON_S * 10**9
    assert int(request["endTimeUnixNano"]) - int(request["startTimeUnixNano"]) == 200_000_000
    assert told(attempt) | {"gen_ai.request.stream": False} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "deep",
        "gen_ai.request.model": "flash",
        "gen_ai.request.stream": False,
        "gen_ai.usage.input_tokens": "100",
        "gen_ai.usage.output_tokens": "20",
        "gen_ai.usage.cache_read.input_tokens": "30",
        "gen_ai.usage.cache_creation.input_tokens": "10",
        "gen_ai.response.time_to_first_chunk": 0.03,
    }
    assert told(request)["thriftgate.cost_usd"] == 0.25


async def test_an_attempt_that_failed_is_a_child_before_the_one_that_answered() -> None:
    _, failed, answered = await traced(FAILED, replace(ANSWERED, attempts=2))
    assert (failed["name"], told(failed)["error.type"], failed["status"]) == (
        "chat opus",
        "upstream_timeout",
        {"code": 2},
    )
    assert answered["startTimeUnixNano"] == failed["endTimeUnixNano"]
    assert "status" not in answered


async def test_a_hit_asked_nobody() -> None:
    (request,) = await traced(replace(ANSWERED, cache="hit", attempts=0))
    assert told(request)["thriftgate.cache"] == "hit"


async def test_a_request_that_failed_says_so() -> None:
    failed = replace(ANSWERED, outcome="upstream_error", status=504, error_code="upstream_timeout", attempts=1)
    request, attempt = await traced(FAILED, failed)
    assert (request["status"], told(request)["error.type"]) == ({"code": 2}, "upstream_timeout")
    assert attempt["name"] == "chat opus"


async def test_the_callers_trace_goes_on() -> None:
    request, attempt = await traced(replace(ANSWERED, trace_parent=CALLER), share=0.0)
    assert request["traceId"] == attempt["traceId"] == CALLER.trace_id
    assert request["parentSpanId"] == CALLER.span_id


async def test_what_the_caller_does_not_keep_is_not_kept_here() -> None:
    assert await traced(replace(ANSWERED, trace_parent=replace(CALLER, sampled=False))) == []


async def test_the_share_is_kept_and_no_more() -> None:
    requests = [replace(ANSWERED, request_id=f"req_{number}", cache="hit") for number in range(1_000)]
    spans = await traced(*requests, share=0.1)
    assert 60 < len(spans) < 140


async def test_a_collector_that_refuses_is_asked_again() -> None:
    async with collecting(503) as collector:
        traces = Traces(collector.url, 1.0, Noon(), pause_s=0.001)
        traces.start()
        traces.tell(ANSWERED)
        await collector.came.wait()
        await traces.stop()
    assert len(collector.spans) == 2
    assert collector.requests[0].startswith("POST /v1/traces ")


async def test_what_waits_for_a_collector_that_is_away_is_bounded() -> None:
    traces = Traces("http://127.0.0.1:1", 1.0, Noon())
    for number in range(MOST_WAITING):
        traces.tell(replace(FAILED, request_id=f"lost_{number}"))
        traces.tell(replace(ANSWERED, request_id=f"req_{number}"))
    await traces.stop()
    assert len(traces._waiting) == MOST_WAITING
    assert len(traces._failed) == MOST_WAITING

"""Traces for an OpenTelemetry collector: a span for each request that is sampled, and one for each of its attempts.

Theory of operation. Spans are made of events, when a request is over, so nothing of this is on its way; they are sent
behind, a few hundred at once, as OTLP/HTTP in its JSON encoding (specification 1.x: ids in hex, 64-bit integers as
text), which every collector takes on port 4318. The SDK would do the same with eight packages more, and wants to be
there from a request's beginning. Attributes are `gen_ai.*` (semantic-conventions-genai, read November 2026), and our
own `thriftgate.*`. No prompts, no answers, no keys.

An attempt that failed begins where the one before it ended, as far as events tell. Of more than MOST_WAITING spans the
oldest are dropped, and so are those of requests that nobody ends.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.adapters.behind import Behind
from gateway.adapters.json_post import JsonPost
from gateway.adapters.observers import Selective
from gateway.core.events import AttemptFailed, RequestFinished
from gateway.core.sampling import is_chosen
from gateway.ports import Clock

MOST_WAITING = 4_096
PAUSE_S = 1.0
_MOST_AT_ONCE = 512
_NANO = 1_000_000_000
_SERVER, _CLIENT = 2, 3
"""Kinds of span: an answer to somebody, and a question to somebody."""
_ERROR = {"code": 2}
_FROM_CACHE = frozenset({"hit", "semantic-hit", "joined"})
Span = dict[str, Any]


class Traces(Selective):
    """Implements `ports.Observer`. `share` of the requests is sampled, 0 to 1, by a hash of their ids; of those that
    come with a `traceparent`, all that it says are."""

    def __init__(self, endpoint: str, share: float, clock: Clock, *, pause_s: float = PAUSE_S) -> None:
        self._share = share
        self._clock = clock
        self._failed: OrderedDict[str, list[tuple[AttemptFailed, int]]] = OrderedDict()
        self._waiting: deque[Span] = deque(maxlen=MOST_WAITING)
        self._to = JsonPost(f"{endpoint.rstrip('/')}/v1/traces", "the collector does not take traces")
        self._behind = Behind(self._send_waiting, pause_s=pause_s)
        self.hears = {RequestFinished: self._finished, AttemptFailed: self._attempt_failed}

    def start(self) -> None:
        self._behind.start()

    async def stop(self) -> None:
        await self._behind.stop()
        await self._to.close()

    def _finished(self, event: RequestFinished) -> None:
        failed = self._failed.pop(event.request_id, [])
        if self._sampled(event):
            self._waiting.extend(spans(event, failed, int(self._clock.unix_s() * _NANO)))
            self._behind.wake()

    def _attempt_failed(self, event: AttemptFailed) -> None:
        self._failed.setdefault(event.request_id, []).append((event, int(self._clock.unix_s() * _NANO)))
        if len(self._failed) > MOST_WAITING:
            self._failed.popitem(last=False)

    def _sampled(self, event: RequestFinished) -> bool:
        if event.trace_parent is not None:
            return event.trace_parent.sampled
        return is_chosen(event.request_id, self._share)

    async def _send_waiting(self) -> bool:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_MOST_AT_ONCE, len(self._waiting)))]
            if not await self._sent(batch):
                self._waiting.extendleft(reversed(batch[: MOST_WAITING - len(self._waiting)]))
                return False
        return True

    async def _sent(self, batch: list[Span]) -> bool:
        body = orjson.dumps(
            {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"scope": _SCOPE, "spans": batch}]}]}
        )
        return await self._to.send(body)


def spans(event: RequestFinished, failed: list[tuple[AttemptFailed, int]], end_ns: int) -> Iterator[Span]:
    """The request's, then those of its attempts in their order. Times are Unix nanoseconds."""
    parent = event.trace_parent
    trace_id = parent.trace_id if parent else hashlib.sha256(event.request_id.encode()).hexdigest()[:32]
    begin_ns = end_ns - int(event.duration_s * _NANO)
    own_id = _span_id(event, 0)
    above = {"parentSpanId": parent.span_id} if parent else {}
    request = _span(trace_id, own_id, event.endpoint, _SERVER, begin_ns, end_ns, _of_request(event))
    yield {**request, **above, **({"status": _ERROR} if event.outcome != "ok" else {})}
    at_ns = begin_ns
    for number, (attempt, failed_ns) in enumerate(failed, 1):
        told = {**_asked(event, attempt.provider, attempt.model), "error.type": attempt.error_code}
        child = _span(trace_id, _span_id(event, number), _name(event, attempt.model), _CLIENT, at_ns, failed_ns, told)
        yield {**child, "parentSpanId": own_id, "status": _ERROR}
        at_ns = failed_ns
    if event.model is not None and event.cache not in _FROM_CACHE and event.attempts > len(failed):
        told = {**_asked(event, event.provider, event.model), **_usage(event)}
        last = _span(
            trace_id, _span_id(event, len(failed) + 1), _name(event, event.model), _CLIENT, at_ns, end_ns, told
        )
        yield {**last, "parentSpanId": own_id, **({"status": _ERROR} if event.outcome == "upstream_error" else {})}


def _span(trace_id: str, span_id: str, name: str, kind: int, begin_ns: int, end_ns: int, told: dict[str, Any]) -> Span:
    return {
        "traceId": trace_id,
        "spanId": span_id,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(begin_ns),
        "endTimeUnixNano": str(max(begin_ns, end_ns)),
        "attributes": _attributes(told),
    }


def _of_request(event: RequestFinished) -> dict[str, Any]:
    return {
        "http.response.status_code": event.status,
        "error.type": event.error_code,
        "thriftgate.request_id": event.request_id,
        "thriftgate.service": event.service,
        "thriftgate.outcome": event.outcome,
        "thriftgate.tier": event.tier,
        "thriftgate.cache": event.cache,
        "thriftgate.attempts": event.attempts,
        "thriftgate.cost_usd": float(event.cost_usd),
        "thriftgate.saved_usd": float(event.saved_usd),
        "thriftgate.baseline_model": event.baseline,
    }


def _asked(event: RequestFinished, provider: str | None, model: str) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": _operation(event),
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": event.stream,
    }


def _usage(event: RequestFinished) -> dict[str, Any]:
    """All that was charged; with failed attempts that were, these are in it."""
    usage = event.usage
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.response.time_to_first_chunk": event.first_token_s,
    }


def _name(event: RequestFinished, model: str) -> str:
    return f"{_operation(event)} {model}"


def _operation(event: RequestFinished) -> str:
    return "embeddings" if event.endpoint == "embeddings" else "chat"


def _span_id(event: RequestFinished, number: int) -> str:
    return hashlib.sha256(f"{event.request_id}/{number}".encode()).hexdigest()[:16]


def _attributes(told: dict[str, Any]) -> list[dict[str, Any]]:
    """OTLP's key-values; what is None is left out."""
    return [{"key": key, "value": _value(value)} for key, value in told.items() if value is not None]


def _value(value: str | bool | int | float) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


_RESOURCE = {"attributes": _attributes({"service.name": "thriftgate"})}
_SCOPE = {"name": "thriftgate"}

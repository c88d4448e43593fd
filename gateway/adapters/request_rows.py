"""The sums of all requests that have the same labels, and the metrics that these make.

A row belongs to one combination of service, tier, provider, model, endpoint, outcome and cache. Metrics with fewer
labels are sums over rows, made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from gateway.adapters import metric_names as names
from gateway.adapters.metric_families import (
    BILLION,
    Family,
    Histogram,
    Labels,
    Series,
    Store,
    Value,
    add,
    empty,
    observe,
)
from gateway.core.events import RequestFinished

_LAYERS = {"hit": "exact", "semantic-hit": "semantic"}
_MIN_STREAM_S = 0.001
"""Of an answer after its first chunk, to tell a speed from: what comes at once has none."""
_OPERATIONS = {"embeddings": "embeddings"}
"""Endpoint → `gen_ai.operation.name`; every other one is `chat`."""


class RequestRow:
    """Not for two threads at once; reading beside one that tells is harmless."""

    __slots__ = (
        "baseline_nano_usd",
        "charged",
        "cost_nano_usd",
        "duration",
        "first",
        "input_tokens",
        "labels",
        "last_month_cost_nano_usd",
        "last_month_nano_usd",
        "output_tokens",
        "read_tokens",
        "requests",
        "retries",
        "speed",
        "tokens_in",
        "tokens_out",
        "unpaid",
        "written_tokens",
    )

    def __init__(self, labels: tuple[str, ...], *, charged: bool) -> None:
        """`charged`: a model was asked, if any; else a cache answered, or another request's flight."""
        self.labels = labels
        self.charged = charged
        self.requests = self.retries = self.unpaid = 0
        self.input_tokens = self.read_tokens = self.written_tokens = self.output_tokens = 0
        self.cost_nano_usd = self.baseline_nano_usd = 0
        self.last_month_nano_usd = self.last_month_cost_nano_usd = 0
        self.duration, self.first = empty(names.SECONDS), empty(names.SECONDS)
        self.speed = empty(names.TOKENS_PER_S)
        self.tokens_in, self.tokens_out = empty(names.TOKENS), empty(names.TOKENS)

    def told(self, event: RequestFinished) -> None:
        self.requests += 1
        took_s, first_s = event.duration_s, event.first_token_s
        self.duration[bisect_left(names.SECONDS, took_s)] += 1  # as `observe`, which most requests would call twice
        self.duration[-1] += int(took_s * BILLION)
        if first_s is not None:
            self.first[bisect_left(names.SECONDS, first_s)] += 1
            self.first[-1] += int(first_s * BILLION)
        if event.attempts > 1:
            self.retries += event.attempts - 1
        cost = event.cost_nano_usd
        self.baseline_nano_usd += event.baseline_nano_usd
        if event.last_month is not None:
            self.last_month_nano_usd += event.last_month_nano_usd
            self.last_month_cost_nano_usd += cost
        if self.charged:
            self._charge(event, cost)

    def _charge(self, event: RequestFinished, cost: int) -> None:
        usage = event.usage
        output = usage.output_tokens
        if not (usage.input_tokens or output):
            return
        self.input_tokens += usage.uncached_tokens
        self.read_tokens += usage.cache_read_tokens
        self.written_tokens += usage.cache_write_tokens
        self.output_tokens += output
        self.cost_nano_usd += cost
        if not cost:
            self.unpaid += 1
        self.tokens_in[bisect_left(names.TOKENS, usage.input_tokens)] += 1  # their sums are above
        self.tokens_out[bisect_left(names.TOKENS, output)] += 1
        if output > 1 and event.first_token_s is not None:
            streamed_s = event.duration_s - event.first_token_s
            if streamed_s >= _MIN_STREAM_S:
                observe(self.speed, names.TOKENS_PER_S, output / streamed_s)


def expanded(rows: Iterable[RequestRow], free: Collection[str]) -> Store:
    """Every metric of requests. `free` models may cost nothing; others that do are unpriced."""
    store: defaultdict[str, Series] = defaultdict(dict)
    for row in rows:
        for family, labels, value in _of(row, free):
            add(store[family.name], labels, value if not isinstance(value, list) else list(value))
    return dict(store)


def _of(row: RequestRow, free: Collection[str]) -> Iterator[tuple[Family, Labels, Value]]:
    service, tier, provider, model, endpoint, outcome, cache = row.labels
    route, of_model = (service, tier, provider, model), (provider, model)
    yield names.REQUESTS, row.labels, row.requests
    yield names.DURATION, route, row.duration
    yield from _if_any(names.FIRST_TOKEN, route, row.first)
    yield names.BASELINE, (service,), row.baseline_nano_usd
    if row.last_month_nano_usd:
        yield names.LAST_MONTH, (service,), row.last_month_nano_usd
        yield names.LAST_MONTH_COST, (service,), row.last_month_cost_nano_usd
    if row.retries:
        yield names.RETRIES, (service,), row.retries
    if cache in _LAYERS:
        yield names.HITS, (service, _LAYERS[cache]), row.requests
    if not row.charged:
        return
    for kind, tokens in (
        ("input", row.input_tokens),
        ("cache_read", row.read_tokens),
        ("cache_write", row.written_tokens),
        ("output", row.output_tokens),
    ):
        if tokens:
            yield names.TOKENS_CHARGED, (*route, kind), tokens
    if row.cost_nano_usd:
        yield names.COST, route, row.cost_nano_usd
    if row.read_tokens:
        yield names.CACHE_READ, of_model, row.read_tokens
    if row.unpaid and model not in free:
        yield names.UNPRICED, of_model, row.unpaid
    yield from _if_any(names.SPEED, of_model, row.speed)
    yield from _gen_ai(row, _OPERATIONS.get(endpoint, "chat"), outcome)


def _gen_ai(row: RequestRow, operation: str, outcome: str) -> Iterator[tuple[Family, Labels, Value]]:
    """OpenTelemetry's: of requests that reached a model."""
    _, _, provider, model, *_ = row.labels
    asked = (operation, provider, model)
    input_tokens = row.input_tokens + row.read_tokens + row.written_tokens
    for kind, counts, tokens in (("input", row.tokens_in, input_tokens), ("output", row.tokens_out, row.output_tokens)):
        yield from _if_any(names.GEN_AI_TOKENS, (*asked, kind), [*counts[:-1], tokens * BILLION])
    if model != "none":
        yield names.GEN_AI_DURATION, (*asked, "" if outcome == "ok" else outcome), row.duration
        yield from _if_any(names.GEN_AI_FIRST_CHUNK, asked, row.first)


def _if_any(family: Family, labels: Labels, histogram: Histogram) -> Iterator[tuple[Family, Labels, Value]]:
    if any(histogram[:-1]):
        yield family, labels, histogram

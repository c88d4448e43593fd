"""Every metric of Thriftgate, in one file; fed only by events, with labels from closed sets only."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.core.events import (
    AttemptFailed,
    BreakerClosed,
    BreakerOpened,
    Degraded,
    Event,
    HitChecked,
    Overshoot,
    PutAside,
    Recovered,
    Reloaded,
    RequestFinished,
    SemanticClosed,
    Stored,
    Unguarded,
)
from gateway.core.pricing import from_nano
from gateway.core.tiers import Tier

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
NONE = "none"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_ROUTE = ("service", "tier", "provider", "model")


class PrometheusMetrics:
    """Implements `ports.Observer`. A label value that is not in the configuration is `other`: junk model names from
    clients mint no series. Build one per gateway; it has its own registry."""

    def __init__(
        self, services: Collection[str] = (), providers: Collection[str] = (), models: Collection[str] = ()
    ) -> None:
        self._known: dict[str, frozenset[str]] = {"tier": frozenset(Tier)}
        self._route = lru_cache(maxsize=4_096)(self._route_labels)
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests finished.", *_ROUTE, "endpoint", "outcome", "cache")
        self._refused = self._counter("refusals", "Requests refused, by the code of the error.", "service", "reason")
        self._tokens = self._counter("tokens", "Tokens charged, by kind.", *_ROUTE, "kind")
        self._cost = self._counter("cost_usd", "What providers charged, in US dollars.", *_ROUTE)
        self._saved = self._counter("saved_usd", "US dollars below the baseline's price.", "service", "cause")
        self._hits = self._counter("cache_hits", "Answers from a cache.", "service", "layer")
        self._stored = self._counter("cache_stores", "Answers stored in a cache.", "service", "layer")
        self._failed = self._counter(
            "attempt_failures", "Attempts at a model that failed.", "provider", "model", "code"
        )
        self._breakers = self._gauge("breaker_open", "Hosts where a model keeps failing.", "provider", "model")
        self._overshoot = self._counter("budget_overshoot_tokens", "Tokens settled beyond a budget.", "service")
        self._overspent = self._counter("budget_overshoot_usd", "US dollars settled beyond a budget.", "service")
        self._unguarded = self._counter(
            "budget_unguarded_requests", "Requests to providers that no budget could be asked about.", "service"
        )
        self._unguarded_tokens = self._counter("budget_unguarded_tokens", "Tokens of those requests.", "service")
        self._unguarded_usd = self._counter("budget_unguarded_usd", "US dollars of those requests.", "service")
        self._aside_tokens = self._gauge("budget_put_aside_tokens", "Tokens kept here for an outage.", "service")
        self._aside_usd = self._gauge("budget_put_aside_usd", "US dollars kept here for an outage.", "service")
        self._duration = self._histogram("request_duration_seconds", "From the request to its last byte.")
        self._first = self._histogram("time_to_first_token_seconds", "From the request to the first chunk.")
        self._checked = self._counter("semantic_checked", "Semantic hits asked again.", "service", "verdict")
        self._shadow_cost = self._counter("shadow_cost_usd", "What checking hits cost, in US dollars.", "service")
        self._false_hits = self._gauge("semantic_false_hit_rate", "Share of checked hits found wrong.", "service")
        self._false_low = self._gauge("semantic_false_hit_rate_low", "Its 95 % interval's lower end.", "service")
        self._false_high = self._gauge("semantic_false_hit_rate_high", "Its 95 % interval's upper end.", "service")
        self._closed = self._gauge("semantic_closed", "1 once a service goes without the semantic layer.", "service")
        self._degraded = self._gauge("degraded", "1 while a part is broken.", "component")
        self._reloads = self._counter("config_reloads", "Reloads of the configuration, by result.", "result")
        self._reload_ok = self._gauge("config_last_reload_success", "0 while the last reload was a refused one.")
        self._reload_ok.set(1)
        self._reloaded_at = self._gauge(
            "config_last_reload_success_timestamp_seconds", "Unix time of the last good reload; 0 before the first."
        )
        self.learn(services, providers, models)

    def learn(self, services: Collection[str], providers: Collection[str], models: Collection[str]) -> None:
        """A new configuration's names. The old ones stay: requests in flight still tell them, and counters must not
        fall."""
        for kind, names in (("service", services), ("provider", providers), ("model", models)):
            self._known[kind] = self._known.get(kind, frozenset()) | frozenset(names)
        self._route.cache_clear()  # a name that was `other` may be known now

    def tell(self, event: Event) -> None:
        match event:
            case RequestFinished():
                self._finished(event)
            case Stored():
                self._stored.labels(self._label("service", event.service), event.layer).inc()
            case AttemptFailed():
                provider, model = self._label("provider", event.provider), self._label("model", event.model)
                self._failed.labels(provider, model, event.error_code).inc()
            case BreakerOpened() | BreakerClosed():
                step = 1 if isinstance(event, BreakerOpened) else -1
                provider, model = self._label("provider", event.provider), self._label("model", event.model)
                self._breakers.labels(provider, model).inc(step)
            case Overshoot():
                service = self._label("service", event.service)
                self._overshoot.labels(service).inc(event.tokens)
                self._overspent.labels(service).inc(float(from_nano(event.nano_usd)))
            case Unguarded():
                self._went_unguarded(event)
            case PutAside():
                service = self._label("service", event.service)
                self._aside_tokens.labels(service).set(event.tokens)
                self._aside_usd.labels(service).set(float(from_nano(event.nano_usd)))
            case HitChecked():
                self._hit_checked(event)
            case SemanticClosed():
                self._closed.labels(self._label("service", event.service)).set(1)
            case Reloaded():
                self._reloaded(event)
            case Degraded():
                self._degraded.labels(event.component).set(1)
            case Recovered():
                self._degraded.labels(event.component).set(0)

    def render(self) -> bytes:
        """The exposition text. 300 series take 43 ms (PERFORMANCE study): call it off the event loop."""
        return generate_latest(self.registry)

    def _finished(self, event: RequestFinished) -> None:
        route = self._route(event.service, event.tier, event.provider, event.model)
        self._requests.labels(*route, event.endpoint, event.outcome, event.cache).inc()
        if event.outcome == "refused" and event.error_code is not None:
            self._refused.labels(route[0], event.error_code).inc()
        layer = {"hit": "exact", "semantic-hit": "semantic"}.get(event.cache)
        if layer:
            self._hits.labels(route[0], layer).inc()
        elif event.cache != "joined":
            self._charged(event, route)
        for saved in event.savings:
            self._saved.labels(route[0], saved.cause).inc(float(saved.usd))
        self._duration.labels(*route).observe(event.duration_s)
        if event.first_token_s is not None:
            self._first.labels(*route).observe(event.first_token_s)

    def _charged(self, event: RequestFinished, route: tuple[str, ...]) -> None:
        usage = event.usage
        kinds = {
            "input": usage.uncached_tokens,
            "cache_read": usage.cache_read_tokens,
            "cache_write": usage.cache_write_tokens,
            "output": usage.output_tokens,
        }
        for kind, tokens in kinds.items():
            if tokens:
                self._tokens.labels(*route, kind).inc(tokens)
        if event.cost_usd:
            self._cost.labels(*route).inc(float(event.cost_usd))

    def _went_unguarded(self, event: Unguarded) -> None:
        service = self._label("service", event.service)
        self._unguarded.labels(service).inc()
        self._unguarded_tokens.labels(service).inc(event.tokens)
        self._unguarded_usd.labels(service).inc(float(from_nano(event.nano_usd)))

    def _hit_checked(self, event: HitChecked) -> None:
        service = self._label("service", event.service)
        self._checked.labels(service, event.verdict).inc()
        self._shadow_cost.labels(service).inc(float(event.cost_usd))
        self._false_hits.labels(service).set(event.false_hit_rate)
        self._false_low.labels(service).set(event.low)
        self._false_high.labels(service).set(event.high)

    def _reloaded(self, event: Reloaded) -> None:
        self._reloads.labels("ok" if event.ok else "refused").inc()
        self._reload_ok.set(event.ok)
        if event.ok:
            self._reloaded_at.set(event.unix_s)

    def _route_labels(
        self, service: str, tier: str | None, provider: str | None, model: str | None
    ) -> tuple[str, str, str, str]:
        return (
            self._label("service", service),
            self._label("tier", tier),
            self._label("provider", provider),
            self._label("model", model),
        )

    def _label(self, kind: str, value: str | None) -> str:
        if value is None:
            return NONE
        return value if value in self._known[kind] else OTHER

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"thriftgate_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"thriftgate_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str) -> Histogram:
        return Histogram(f"thriftgate_{name}", help_text, _ROUTE, buckets=_SECONDS, registry=self.registry)

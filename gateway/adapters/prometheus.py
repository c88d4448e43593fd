"""What happened, as metrics: fed only by events, with labels from closed sets only. Their names are in `metric_names`.

Theory of operation. A told request finds its row, one for each combination of labels, and adds to integers there: one
look-up, however many metrics it is in (1.5 µs a hit, 2.6 a miss). The metrics are made of the rows when somebody
asks. What other processes have is added then, and what is only known at that moment is asked of `sources`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.adapters import metric_names as names
from gateway.adapters.metric_families import Family, Labels, Store, Value, add, decode, encode, merged, metric
from gateway.adapters.observers import Selective
from gateway.adapters.request_rows import RequestRow, expanded
from gateway.core.events import (
    AttemptFailed,
    BreakerClosed,
    BreakerOpened,
    Degraded,
    HitChecked,
    NotByMeaning,
    Overshoot,
    PutAside,
    Rated,
    Recovered,
    Reloaded,
    RequestFinished,
    SemanticClosed,
    Stored,
    Unguarded,
)
from gateway.core.false_hits import Tally
from gateway.core.pricing import from_nano
from gateway.core.tiers import Tier

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
NONE = "none"
_FROM_CACHE = frozenset({"hit", "semantic-hit", "joined"})
_MAX_ALIASES = 4_096

Source = Callable[[], Iterable[tuple[Family, Labels, Value]]]
"""What is known only when asked: how long a queue is, how full a cache. Called in a thread."""
_Raw = tuple[str, str | None, str | None, str | None, str, str, str]


class PrometheusMetrics(Selective):
    """Implements `ports.Observer`. A label value that is not in the configuration is `other`: junk model names from
    clients mint no series. Build one per gateway; it has its own registry."""

    def __init__(
        self,
        services: Collection[str] = (),
        providers: Collection[str] = (),
        models: Collection[str] = (),
        started_unix_s: float = 0.0,
    ) -> None:
        self._known: dict[str, frozenset[str]] = {"tier": frozenset(Tier)}
        self._free: frozenset[str] = frozenset()
        self._rows: dict[tuple[str, ...], RequestRow] = {}
        self._aliases: dict[_Raw, RequestRow] = {}
        self._states: defaultdict[str, dict[Labels, Value]] = defaultdict(dict)
        self._counted: defaultdict[str, defaultdict[Labels, int]] = defaultdict(lambda: defaultdict(int))
        self._saved, self._overhead = self._counted[names.SAVED.name], self._counted[names.OVERHEAD.name]
        self._inherited: Store = {}
        self._sources: list[Source] = []
        self._set(names.RELOAD_OK, (), 1)
        self._set(names.RELOADED_AT, (), 0)
        self._set(names.STARTED, (), started_unix_s)
        self.registry = CollectorRegistry()
        self.registry.register(_Own(self))
        self.learn(services, providers, models)
        self.hears = {
            RequestFinished: self._finished,
            Stored: self._stored,
            NotByMeaning: self._passed,
            AttemptFailed: self._attempt_failed,
            BreakerOpened: self._opened,
            BreakerClosed: self._closed,
            Overshoot: self._overshot,
            Unguarded: self._unguarded,
            PutAside: self._put_aside,
            HitChecked: self._hit_checked,
            Rated: self._rated,
            SemanticClosed: self._semantic_closed,
            Reloaded: self._reloaded,
            Degraded: self._degraded,
            Recovered: self._degraded,
        }

    def learn(
        self, services: Collection[str], providers: Collection[str], models: Collection[str], free: Collection[str] = ()
    ) -> None:
        """A new configuration's names; `free` are the models that it declares to cost nothing. The old names stay:
        requests in flight still tell them, and counters must not fall."""
        for kind, values in (("service", services), ("provider", providers), ("model", models)):
            self._known[kind] = self._known.get(kind, frozenset()) | frozenset(values)
        self._free = frozenset(free)
        self._aliases.clear()  # a name that was `other` may be known now

    def ask(self, *sources: Source) -> None:
        """From now on, whenever the metrics are read."""
        self._sources.extend(sources)

    def render(self, others: Sequence[bytes] = (), asked: Store | None = None) -> bytes:
        """The exposition text, of this process and of those whose snapshots these are. `asked` is what was found out
        for this once, and is no process's own. Milliseconds: call it off the event loop."""
        registry = CollectorRegistry()
        registry.register(_Fixed(self._merged(others, asked or {})))
        return generate_latest(registry)

    def snapshot(self) -> bytes:
        """What this process has, for another one's `render`."""
        return encode(self.store())

    def inherit(self, snapshot: bytes) -> None:
        """Go on from the snapshot of a process whose place this one takes: what it counted, not the state it was in."""
        counted = {family.name for family in names.FAMILIES if family.kind != "gauge"}
        self._inherited = {name: series for name, series in decode(snapshot).items() if name in counted}

    def store(self) -> Store:
        """Every series of this process. Safe beside a thread that tells: a request may be in one metric and not yet in
        another, but nothing is lost."""
        store: Store = {name: dict(series) for name, series in list(self._states.items())}
        store |= {name: dict(series) for name, series in list(self._counted.items())}
        store |= expanded(list(self._rows.values()), self._free)
        for name, inherited in self._inherited.items():
            series = store.setdefault(name, {})
            for labels, value in inherited.items():
                add(series, labels, value)
        for source in self._sources:
            for family, labels, value in source():
                add(store.setdefault(family.name, {}), labels, value)
        return store

    def _merged(self, others: Iterable[bytes], asked: Mapping[str, dict[Labels, Value]]) -> Store:
        total = merged(names.FAMILIES, [self.store(), asked, *map(decode, others)])
        _add_rates(total)
        _add_idle(total)
        return total

    def _finished(self, event: RequestFinished) -> None:
        raw = event.service, event.tier, event.provider, event.model, event.endpoint, event.outcome, event.cache
        row = self._aliases.get(raw) or self._row(raw)
        row.told(event)
        service = row.labels[0]
        for saved in event.savings:
            self._saved[service, saved.cause] += saved.nano_usd
        for overhead in event.overheads:
            self._overhead[service, overhead.kind] += overhead.nano_usd
        if event.review and event.cache != "joined":
            result, _, check = event.review.partition(":")
            self._add(names.REVIEWS, (service, result, check or NONE), 1)
        if event.outcome == "refused" and event.error_code is not None:
            self._add(names.REFUSALS, (service, event.error_code), 1)

    def _row(self, raw: _Raw) -> RequestRow:
        service, tier, provider, model, *rest = raw
        route = self._label("service", service), self._label("tier", tier), *self._model(provider, model)
        labels = (*route, *rest)
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = RequestRow(labels, charged=raw[-1] not in _FROM_CACHE)
        if len(self._aliases) >= _MAX_ALIASES:
            self._aliases.clear()
        self._aliases[raw] = row
        return row

    def _stored(self, event: Stored) -> None:
        self._add(names.STORES, (self._label("service", event.service), event.layer), 1)

    def _passed(self, event: NotByMeaning) -> None:
        self._add(names.NOT_BY_MEANING, (self._label("service", event.service), event.why), 1)

    def _attempt_failed(self, event: AttemptFailed) -> None:
        self._add(names.FAILURES, (*self._model(event.provider, event.model), event.error_code), 1)

    def _opened(self, event: BreakerOpened) -> None:
        self._add(names.BREAKERS, self._model(event.provider, event.model), 1)

    def _closed(self, event: BreakerClosed) -> None:
        self._add(names.BREAKERS, self._model(event.provider, event.model), -1)

    def _overshot(self, event: Overshoot) -> None:
        self._spent(names.OVERSHOOT_TOKENS, names.OVERSHOOT_USD, event)

    def _unguarded(self, event: Unguarded) -> None:
        self._add(names.UNGUARDED, (self._label("service", event.service),), 1)
        self._spent(names.UNGUARDED_TOKENS, names.UNGUARDED_USD, event)

    def _put_aside(self, event: PutAside) -> None:
        service = (self._label("service", event.service),)
        self._set(names.ASIDE_TOKENS, service, event.tokens)
        self._set(names.ASIDE_USD, service, event.nano_usd)

    def _rated(self, event: Rated) -> None:
        self._add(names.FEEDBACK, (self._label("service", event.service), event.verdict), 1)

    def _semantic_closed(self, event: SemanticClosed) -> None:
        self._set(names.SEMANTIC_CLOSED, (self._label("service", event.service),), 1)

    def _degraded(self, event: Degraded | Recovered) -> None:
        self._set(names.DEGRADED, (event.component,), int(isinstance(event, Degraded)))

    def _spent(self, tokens: Family, usd: Family, event: Overshoot | Unguarded) -> None:
        service = (self._label("service", event.service),)
        self._add(tokens, service, event.tokens)
        self._add(usd, service, event.nano_usd)

    def _hit_checked(self, event: HitChecked) -> None:
        service = self._label("service", event.service)
        cost, judge = event.cost_nano_usd, event.judge_nano_usd
        self._add(names.CHECKED if event.of == "hit" else names.LIGHT_CHECKED, (service, event.verdict), 1)
        self._add(names.SHADOW_COST, (service,), cost)
        self._overhead[service, "shadow"] += cost - judge
        if judge:
            self._overhead[service, "judge"] += judge

    def _reloaded(self, event: Reloaded) -> None:
        self._add(names.RELOADS, ("ok" if event.ok else "refused",), 1)
        self._set(names.RELOAD_OK, (), int(event.ok))
        if event.ok:
            self._set(names.RELOADED_AT, (), event.unix_s)

    def _add(self, family: Family, labels: Labels, value: int) -> None:
        self._counted[family.name][labels] += value

    def _set(self, family: Family, labels: Labels, value: float) -> None:
        self._states[family.name][labels] = value

    def _model(self, provider: str | None, model: str | None) -> tuple[str, str]:
        return self._label("provider", provider), self._label("model", model)

    def _label(self, kind: str, value: str | None) -> str:
        if value is None:
            return NONE
        return value if value in self._known[kind] else OTHER


class _Own(Collector):
    """What one process has, for whoever has its registry."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return _Fixed(self._metrics._merged((), {})).collect()


class _Fixed(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        return [metric(family, self._store[family.name]) for family in names.FAMILIES]


def _add_rates(total: Store) -> None:
    """Of checks, over all processes: rates do not add up, what they are rates of does."""
    verdicts = total[names.CHECKED.name]
    for service in {service for service, _ in verdicts}:
        different, same = (_int(verdicts.get((service, verdict), 0)) for verdict in ("different", "same"))
        tally = Tally(different, different + same)
        for family, share in zip(
            (names.FALSE_HITS_LOW, names.FALSE_HITS, names.FALSE_HITS_HIGH),
            (tally.interval[0], tally.rate, tally.interval[1]),
            strict=True,
        ):
            total[family.name][service,] = share


def _add_idle(total: Store) -> None:
    """What hours of local hardware cost, and nobody was charged."""
    charged: defaultdict[str, int] = defaultdict(int)
    for (_, _, provider, _), nano_usd in total[names.COST.name].items():
        charged[provider] += _int(nano_usd)
    for (provider,), hour_usd in total[names.LOCAL_HOUR.name].items():
        assert not isinstance(hour_usd, list)
        up_s = _int(total[names.LOCAL_UP.name].get((provider,), 0)) / 10**9
        idle_usd = up_s / 3_600 * hour_usd - float(from_nano(charged[provider]))
        total[names.LOCAL_IDLE.name][provider,] = max(0.0, idle_usd)


def _int(value: Value) -> int:
    assert not isinstance(value, list)
    return int(value)

"""Everything that is built from one reading of the configuration, and replaced by the next.

Theory of operation. A reload builds a new generation beside the one that serves; then `Front` changes one reference. A
request keeps the generation it began with, whole: its models and prices, its service and budget, its providers. A
generation starts nothing and owns nothing that must be stopped: connections, children, caches and the ledger are
`Parts` of the process. So an old one needs no farewell: it is forgotten with its last request.

What was learned lives on: hit rates and answer times, false hits, the state of the embedder and of every host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from gateway.adapters.prometheus import PrometheusMetrics
from gateway.catalog import Catalogs
from gateway.core.plan import Catalog
from gateway.core.retry import RetryPolicy
from gateway.core.service_key import digest_of
from gateway.core.worth import WorthRules
from gateway.flow.baselines import Baselines, MostUsed
from gateway.flow.dispatch import Dispatch
from gateway.flow.embeddings import Embeddings
from gateway.flow.flight import Ground
from gateway.flow.hedge import Hedge
from gateway.flow.join import Questions
from gateway.flow.kept_prompts import KeptPrompts
from gateway.flow.light_shadow import LightShadow, LightShadowRules, LightSpend
from gateway.flow.lookup import Lookup
from gateway.flow.meaning import Meaning, MeaningRules, Semantic
from gateway.flow.pipeline import Pipeline
from gateway.flow.routing import Routing, RoutingMemory
from gateway.flow.shadow import Shadow, ShadowRules
from gateway.flow.tasks import Tasks
from gateway.http.auth import Keyring
from gateway.http.entrance import Entrance
from gateway.http.routes import HotRoutes
from gateway.http.serving import Readiness, Serving
from gateway.metric_readings import Reading, of_providers
from gateway.ports import Cache, Clock, Door, Keys, Ledger, Observer, TokenCounter
from gateway.providers import ProviderParts
from gateway.routing_policies import Router
from gateway.semantic_parts import SemanticParts
from gateway.service_catalog import ANONYMOUS, anonymous, build_services, key_digests
from gateway.settings import Loaded, Settings, is_loopback

if TYPE_CHECKING:
    from gateway.core.answer_head import AnswerHead


@dataclass(frozen=True, slots=True)
class Parts:
    """What lives as long as the process."""

    clock: Clock
    observer: Observer
    tasks: Tasks
    cache: Cache
    ledger: Ledger
    door: Door
    counter: TokenCounter
    keys: Keys
    providers: ProviderParts
    semantic: SemanticParts
    routing: RoutingMemory = field(default_factory=RoutingMemory)
    most_used: MostUsed = lambda service, unix_s: None
    workers: Callable[[], int | None] = lambda: None
    light_spend: LightSpend = field(default_factory=LightSpend)


class Generation:
    """See the theory of operation above. `routes` and `serving` are what it answers with; `before` is the semantic
    layer that its own goes on from."""

    def __init__(self, loaded: Loaded, catalogs: Catalogs, parts: Parts, before: Meaning) -> None:
        self.loaded = loaded
        self._settings = settings = loaded.settings
        self._parts = parts
        self._catalogs = catalogs
        self._router = Router(loaded)
        self._services = build_services(loaded, self._router.policy)
        self._anonymous = anonymous(loaded, self._router.policy)
        self._digests = key_digests(loaded)
        self._hosts = parts.providers.build(loaded)
        self.routing = Routing(
            catalogs.chat,
            self._latencies_s,
            self._router.foresee,
            parts.routing,
            parts.clock,
            self._router.classify,
            _kept_prompts(parts.observer) if settings.learning.store_features else None,
        )
        self.meaning = _meaning(settings, before)
        self._lookup = Lookup(
            parts.cache if settings.cache.exact.enabled else None,
            settings.cache.exact.ttl_s,
            self.meaning,
            parts.observer,
            parts.clock,
            parts.tasks,
        )
        self._embeddings = Embeddings(catalogs.embeddings, self._hosts, parts.ledger, parts.observer, parts.clock)
        self._keyring = self._build_keyring(settings.server.admin_key)
        self.routes = self._routes().by_path()
        self.serving = self._serving()
        self.attach()

    def __str__(self) -> str:
        """For an operator: `services: 3, models: 15, absent: deepseek`."""
        absent = ", ".join(sorted(self._catalogs.chat.absent))
        models = len(self._catalogs.chat.models) + len(self._catalogs.embeddings.models)
        return f"services: {len(self._services)}, models: {models}" + (f", absent: {absent}" if absent else "")

    @property
    def wants_index(self) -> bool:
        """Whether questions are to be found by their meaning."""
        return self._settings.cache.semantic.enabled

    def attach(self) -> None:
        """The semantic parts join as far as they are there and wanted; again when more of them have been loaded."""
        embedder, index = self._parts.semantic.embedder, self._parts.semantic.index
        if embedder is not None:
            self._embeddings.attach(embedder)
        if embedder is not None and index is not None and self.wants_index:
            self.meaning.attach(Semantic(embedder, index))
        else:
            self.meaning.attach(None)

    def label(self, metrics: PrometheusMetrics) -> None:
        """Teach the metrics this configuration's names: labels are what it names, and nothing a client sends."""
        models = [*self._catalogs.chat.models, *self._catalogs.embeddings.models]
        services = list(self._services) or [ANONYMOUS.name]
        free = [model.name for model in models if model.price.free]
        metrics.learn(services, {model.provider for model in models}, [model.name for model in models], free)

    def readings(self) -> Iterator[Reading]:
        """Of its providers, for the metrics."""
        return of_providers(self._hosts, self._catalogs.chat.models)

    def waiting_for(self) -> dict[str, str]:
        """What is not ready yet, and why."""
        parts = {name: hosts.waiting_for for name, hosts in self._hosts.items()}
        return {name: why for name, why in {**parts, "embedder": self._parts.semantic.loading}.items() if why}

    def absent(self) -> dict[str, str]:
        """What will not come by waiting, and why: providers without a key, an embedder that failed to load."""
        failure = self._parts.semantic.failure
        return {**self._catalogs.chat.absent, **({"embedder": failure} if failure else {})}

    def _latencies_s(self) -> dict[str, float]:
        routed = self._catalogs.chat.routed()
        return {model.name: self._hosts[model.provider].latency_s(model) for model in routed}

    def _routes(self) -> HotRoutes:
        return HotRoutes(
            self._pipeline(),
            self._embeddings,
            self._catalogs.chat,
            self._parts.counter,
            self._entrance(),
            self._parts.clock,
            self._settings.server.max_body_bytes,
        )

    def _entrance(self) -> Entrance:
        parts = self._parts
        return Entrance(self._keyring, parts.door, parts.observer, parts.clock)

    def _build_keyring(self, admin_key: str | None) -> Keyring:
        return Keyring(
            self._services,
            self._digests,
            self._parts.keys,
            self._parts.clock,
            anonymous=None if self._services else self._anonymous,
            admin_digest=digest_of(admin_key) if admin_key else None,
        )

    def _serving(self) -> Serving:
        server = self._settings.server
        return Serving(
            self._catalogs.chat,
            self._catalogs.embeddings.present(),
            self._keyring,
            self._services or {ANONYMOUS.name: self._anonymous},
            self._lookup.forget,
            Readiness(self.waiting_for, self.absent, self._parts.workers),
            server.public_metrics or is_loopback(server.host),
            is_loopback(server.host),
        )

    def _pipeline(self) -> Pipeline:
        parts, catalog = self._parts, self._catalogs.chat
        ground = Ground(parts.ledger, parts.counter)
        policy = RetryPolicy(per_model=self._settings.upstream.attempts_per_model)
        head, hedge = self._answer_head(), self._hedge()
        dispatch = Dispatch(self._hosts, ground, policy, parts.observer, parts.clock, head, hedge)
        questions = Questions()
        pipeline = Pipeline(catalog, self.routing, self._lookup, questions, dispatch, parts.observer, parts.clock)
        pipeline.compare_with(Baselines(catalog, parts.most_used))
        pipeline.check_hits(self._shadow(catalog, dispatch))
        if self._settings.learning.shadow_share:
            pipeline.check_light(self._light_shadow(catalog, dispatch))
        return pipeline

    def _answer_head(self) -> AnswerHead | None:
        """Only where a service asks for it: it brings numpy along."""
        if all(service.review.arithmetic is None for service in (self._anonymous, *self._services.values())):
            return None
        from gateway.adapters import answer_head

        return answer_head.load()

    def _hedge(self) -> Hedge | None:
        after = self._settings.upstream.hedge_after
        return None if after is None else Hedge(after, self._parts.clock)

    def _shadow(self, catalog: Catalog, dispatch: Dispatch) -> Shadow:
        semantic = self._settings.cache.semantic
        judge = catalog.find(semantic.judge_model) if semantic.judge_model else None
        present = judge if judge in catalog.present() else None  # without its key, the vectors decide
        rules = ShadowRules(semantic.shadow_share, present)
        parts = self._parts
        return Shadow(rules, dispatch, self.meaning, self.meaning.false_hits, parts.observer, parts.tasks)

    def _light_shadow(self, catalog: Catalog, dispatch: Dispatch) -> LightShadow:
        learning, parts = self._settings.learning, self._parts
        judge = catalog.find(learning.judge_model) if learning.judge_model else None
        present = judge if judge in catalog.present() else None
        rules = LightShadowRules(learning.shadow_share, Decimal(str(learning.shadow_usd_per_day)), present)
        return LightShadow(rules, dispatch, self.meaning, parts.light_spend, parts.observer, parts.clock, parts.tasks)


def _kept_prompts(observer: Observer) -> KeptPrompts:
    """Imported here, because the slim image has no numpy and keeps nothing."""
    from gateway.core.prompt_numbers import numbers_of, packed

    return KeptPrompts(lambda features: packed(numbers_of(features)), observer)


def _meaning(settings: Settings, before: Meaning) -> Meaning:
    semantic = settings.cache.semantic
    worth = WorthRules(semantic.value_of_second_usd, semantic.cpu_second_usd, semantic.explore_share)
    rules = MeaningRules(semantic.threshold, semantic.deadline_ms / 1000, semantic.ttl_s)
    return before.under(rules, worth, semantic.false_hit_limit)

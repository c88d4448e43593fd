"""The composition root: the only file that names concrete adapters. It wires them, starts them, and stops them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AsyncExitStack

from gateway.adapters import genai_price_book, prometheus
from gateway.adapters.child_process import ChildNotReady
from gateway.adapters.clock import SystemClock
from gateway.adapters.data_dir import DataDir, DataDirError
from gateway.adapters.edge_index import EdgeIndex
from gateway.adapters.http1_transport import Http1Transport
from gateway.adapters.http_provider import HttpProvider
from gateway.adapters.httpx_transport import HttpxTransport
from gateway.adapters.llama_child import Engine, LlamaServer, LlamaUnavailable, find_model
from gateway.adapters.llama_provider import LlamaProvider
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.observers import Observers
from gateway.adapters.onnx_embedder import OnnxEmbedder, packaged_minilm
from gateway.adapters.operator_log import OperatorLog
from gateway.adapters.prometheus import PrometheusMetrics
from gateway.adapters.qdrant_index import QdrantIndex
from gateway.adapters.reasoning_memory import ReasoningMemory
from gateway.adapters.redis_cache import RedisCache
from gateway.adapters.redis_client import connect
from gateway.adapters.redis_ledger import RedisLedger
from gateway.adapters.sentence_embedder import SentenceEmbedder
from gateway.adapters.stale_child import end_all_stale
from gateway.adapters.tiktoken_counter import TiktokenCounter
from gateway.adapters.transport import Transport
from gateway.adapters.valkey_child import ValkeyChild, ValkeyMissing, find_valkey
from gateway.catalog import ANONYMOUS, Catalogs, build_catalogs, build_services
from gateway.core.deadlines import Deadlines
from gateway.core.events import Degraded
from gateway.core.false_hits import FalseHits
from gateway.core.plan import Catalog
from gateway.core.retry import RetryPolicy
from gateway.core.worth import Worth, WorthRules
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.deepseek import DeepSeek
from gateway.dialects.dialect import Dialect
from gateway.dialects.llamacpp import LlamaCpp
from gateway.dialects.openai import OpenAI
from gateway.flow.dispatch import Dispatch
from gateway.flow.embeddings import Embeddings
from gateway.flow.flight import Ground
from gateway.flow.join import Questions
from gateway.flow.lookup import Lookup
from gateway.flow.meaning import Meaning, MeaningRules, Semantic
from gateway.flow.pipeline import Pipeline
from gateway.flow.shadow import Shadow, ShadowRules
from gateway.flow.tasks import Tasks
from gateway.http.admin import Metrics, Readiness, admin_app
from gateway.http.auth import Keyring
from gateway.http.cache_routes import add_cache_routes
from gateway.http.front import Front
from gateway.http.routes import HotRoutes
from gateway.ports import Observer, Provider
from gateway.settings import Loaded, is_loopback
from gateway.settings import Provider as ProviderSettings

_DIALECTS: dict[str, Dialect] = {
    "openai": OpenAI(),
    "deepseek": DeepSeek(),
    "anthropic": Anthropic(),
    "llamacpp": LlamaCpp(),
}
_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "deepseek": "https://api.deepseek.com",
    "anthropic": "https://api.anthropic.com",
}
_EMBEDDINGS_PATHS = {"openai": "/embeddings", "llamacpp": "/embeddings"}
_WANT_THEIR_REASONING = frozenset({"deepseek"})
"""Kinds that refuse a tool loop without the reasoning behind its calls."""
START_ERRORS = (DataDirError, LlamaUnavailable, ValkeyMissing, ModuleNotFoundError, ValueError)
"""What keeps a gateway from being built; each message names the mend."""
_LEASE_SLACK_S = 60.0
_LOAD_S = 300.0
_DRAIN_S = 5.0

Say = Callable[[str], None]
"""Where progress is told, a line at a time."""


def check(loaded: Loaded) -> Catalogs:
    """Everything a start would need, without starting it. Raises START_ERRORS."""
    settings = loaded.settings
    catalogs = build_catalogs(loaded, genai_price_book.price_of)
    if settings.state.redis_url == "embedded":
        find_valkey()
    for provider in settings.providers.values():
        if provider.kind == "llamacpp" and provider.base_url is None:
            find_model(provider.model or "")
    if settings.embedder.engine == "onnx":
        packaged_minilm()
    return catalogs


class Gateway:
    """One gateway. Give `asgi` to a server, which starts and stops everything through ASGI's lifespan.

    `listeners` hear every event beside the metrics and the log.

    Construction takes the data directory (DataDirError when another gateway has it) and opens no connection.
    Raises ConfigError for a model without a price, LlamaUnavailable for a local model that cannot run here.
    """

    def __init__(self, loaded: Loaded, say: Say = lambda line: None, *listeners: Observer) -> None:
        self._settings = settings = loaded.settings
        self._say = say
        self._clock = SystemClock()
        self._catalogs = catalogs = build_catalogs(loaded, genai_price_book.price_of)
        self._services = services = build_services(loaded)
        self._metrics = _metrics(catalogs, [service.name for service in services.values()] or [ANONYMOUS.name])
        self._observer = Observers(self._metrics, OperatorLog(), *listeners)
        self._data_dir = DataDir(settings.data_dir)
        self._stack = AsyncExitStack()
        self._stack.callback(self._data_dir.close)
        self._tasks = Tasks()
        self._valkey = ValkeyChild(self._data_dir) if settings.state.redis_url == "embedded" else None
        self._redis_timeout_s = settings.state.timeout_ms / 1000
        redis_url = self._valkey.url if self._valkey else settings.state.redis_url
        self._redis = connect(redis_url, timeout_s=self._redis_timeout_s)
        self._cache = self._build_cache()
        self._ledger = self._build_ledger()
        self._counter = TiktokenCounter()
        self._deadlines = Deadlines(**settings.timeouts.model_dump())
        self._transport: Transport = HttpxTransport() if settings.upstream.client == "httpx" else Http1Transport()
        self._servers: dict[str, LlamaServer] = {}
        self._providers = {name: self._build_provider(name, loaded) for name in settings.providers}
        self._false_hits = FalseHits(settings.cache.semantic.false_hit_limit)
        self._meaning = self._build_meaning()
        self._lookup = self._build_lookup()
        self._embeddings = Embeddings(catalogs.embeddings, self._providers, self._ledger, self._observer, self._clock)
        self._embedder_loading: str | None = "loading" if settings.embedder.engine != "none" else None
        self._embedder_failure: str | None = None
        self.asgi = self._build_asgi(catalogs, Keyring(services, None if services else ANONYMOUS, self._admin_digest()))

    async def start(self) -> None:
        """Returns when requests can be taken; models go on loading behind."""
        for pid in await end_all_stale(self._data_dir.path):
            self._say(f"ended process {pid}, left by a gateway that was killed")
        if self._valkey is not None:
            started_s = self._clock.monotonic_s()
            await self._valkey.start()
            self._stack.push_async_callback(self._valkey.stop)
            self._say(f"state: valkey ready ({self._clock.monotonic_s() - started_s:.2f} s)")
        self._stack.push_async_callback(self._redis.aclose)
        for part in (self._cache, self._ledger):
            part.start()
            self._stack.push_async_callback(part.stop)
        self._stack.push_async_callback(self._counter.stop)
        self._stack.push_async_callback(self._transport.close)
        for server in self._servers.values():
            await server.start()
            self._stack.push_async_callback(server.stop)
        self._tasks.start(self._load_models())
        self._stack.push_async_callback(self._tasks.drain, _DRAIN_S)

    async def stop(self) -> None:
        """What was started last stops first; what waits to be written is written."""
        await self._stack.aclose()

    def waiting_for(self) -> dict[str, str]:
        """What is not ready yet, and why."""
        parts = {name: provider.waiting_for for name, provider in self._providers.items()}
        return {name: why for name, why in {**parts, "embedder": self._embedder_loading}.items() if why}

    def _build_cache(self) -> RedisCache:
        memory = MemoryCache(self._clock, max_bytes=self._settings.cache.exact.memory_bytes)
        return RedisCache(self._redis, memory, self._clock, self._observer, timeout_s=self._redis_timeout_s)

    def _build_ledger(self) -> RedisLedger:
        own = (model.deadlines.total_s for model in self._catalogs.chat.models if model.deadlines)
        lease_s = max([self._settings.timeouts.total_s, *own]) + _LEASE_SLACK_S
        return RedisLedger(self._redis, self._clock, self._observer, lease_s=lease_s, timeout_s=self._redis_timeout_s)

    def _build_lookup(self) -> Lookup:
        exact = self._settings.cache.exact
        cache = self._cache if exact.enabled else None
        return Lookup(cache, exact.ttl_s, self._meaning, self._observer, self._clock, self._tasks)

    def _build_meaning(self) -> Meaning:
        semantic = self._settings.cache.semantic
        explore_every = max(1, round(1 / semantic.explore_share))
        worth = Worth(WorthRules(semantic.value_of_second_usd, semantic.cpu_second_usd, explore_every))
        rules = MeaningRules(semantic.threshold, semantic.deadline_ms / 1000, semantic.ttl_s)
        return Meaning(rules, worth, self._false_hits, self._observer, self._clock, self._tasks)

    def _build_shadow(self, catalog: Catalog, dispatch: Dispatch) -> Shadow:
        semantic = self._settings.cache.semantic
        judge = catalog.find(semantic.judge_model) if semantic.judge_model else None
        present = judge if judge in catalog.present() else None  # without its key, the vectors decide
        rules = ShadowRules(semantic.shadow_share, present)
        return Shadow(rules, dispatch, self._meaning, self._false_hits, self._observer, self._tasks)

    def _build_provider(self, name: str, loaded: Loaded) -> Provider:
        settings = loaded.settings.providers[name]
        if settings.kind != "llamacpp" or settings.base_url is not None:
            provider = self._http_provider(name, settings, loaded.absence(name))
            return ReasoningMemory(provider, self._cache) if settings.kind in _WANT_THEIR_REASONING else provider
        engine = Engine(
            settings.model or "", settings.launcher, settings.parallel, settings.context_tokens, settings.threads
        )
        server = self._servers[name] = LlamaServer(engine, self._data_dir)
        return LlamaProvider(
            name, server, lambda ready: self._child_provider(name, ready), self._deadlines.first_token_s
        )

    def _http_provider(self, name: str, settings: ProviderSettings, absence: str | None) -> HttpProvider:
        return HttpProvider(
            name,
            settings.base_url or _BASE_URLS[settings.kind],
            settings.api_key,
            _DIALECTS[settings.kind],
            self._transport,
            deadlines=self._deadlines,
            absence=absence,
            concurrency=settings.max_concurrency,
            embeddings_path=_EMBEDDINGS_PATHS.get(settings.kind),
        )

    def _child_provider(self, name: str, server: LlamaServer) -> HttpProvider:
        assert server.base_url is not None
        return HttpProvider(
            name,
            server.base_url,
            server.api_key,
            _DIALECTS["llamacpp"],
            self._transport,
            deadlines=self._deadlines,
            concurrency=server.total_slots,
        )

    def _build_asgi(self, catalogs: Catalogs, keyring: Keyring) -> Front:
        ground = Ground(self._ledger, self._counter)
        policy = RetryPolicy(per_model=self._settings.upstream.attempts_per_model)
        dispatch = Dispatch(self._providers, ground, policy, self._observer, self._clock)
        questions = Questions(self._tasks)
        pipeline = Pipeline(catalogs.chat, self._lookup, questions, dispatch, self._observer, self._clock)
        pipeline.check_hits(self._build_shadow(catalogs.chat, dispatch))
        server = self._settings.server
        routes = HotRoutes(
            pipeline, self._embeddings, catalogs.chat, self._counter, keyring, self._clock, server.max_body_bytes
        )
        public = server.public_metrics or is_loopback(server.host)
        metrics = Metrics(self._metrics.render, prometheus.CONTENT_TYPE, public)
        readiness = Readiness(self.waiting_for, self.absent)
        started_at = int(self._clock.unix_s())
        behind = admin_app(catalogs.chat, catalogs.embeddings.present(), keyring, metrics, readiness, started_at)
        known = {service.name: service for service in (*self._services.values(), ANONYMOUS)}
        add_cache_routes(behind, keyring, known, self._lookup.forget)
        return Front(routes.by_path(), behind, self)

    def absent(self) -> dict[str, str]:
        """What will not come by waiting, and why: providers without a key, an embedder that failed to load."""
        failed = {"embedder": self._embedder_failure} if self._embedder_failure else {}
        return {**self._catalogs.chat.absent, **failed}

    def _admin_digest(self) -> str | None:
        key = self._settings.server.admin_key
        return hashlib.sha256(key.encode()).hexdigest() if key else None

    async def _load_models(self) -> None:
        """Everything that takes seconds, side by side, each telling when it is there."""
        loading = [self._announce(name, server) for name, server in self._servers.items()]
        if self._settings.embedder.engine != "none":
            loading.append(self._load_embedder())
        await asyncio.gather(*loading)
        self._say("ready" if not self.waiting_for() else f"still waiting for {', '.join(self.waiting_for())}")

    async def _announce(self, name: str, server: LlamaServer) -> None:
        """Tell when a local model can answer."""
        started_s = self._clock.monotonic_s()
        try:
            await server.wait_ready(_LOAD_S)
        except ChildNotReady as error:
            self._say(f"{name}: {error}")
        else:
            self._say(f"{name}: {server.model} ready ({self._clock.monotonic_s() - started_s:.2f} s)")

    async def _load_embedder(self) -> None:
        """Load, then let the semantic layer join; a failure leaves the exact cache and says so."""
        started_s = self._clock.monotonic_s()
        try:
            embedder = await self._started_embedder()
            if self._settings.cache.semantic.enabled:
                self._meaning.attach(Semantic(embedder, await self._started_index(embedder)))
            self._embeddings.attach(embedder)
            self._say(f"embedder: {embedder.engine} ready ({self._clock.monotonic_s() - started_s:.2f} s)")
        except Exception as error:  # the border to engines that raise what they like; the gateway serves without
            self._embedder_failure = f"{type(error).__name__}: {error}"
            self._observer.tell(Degraded("embedder", self._embedder_failure))
            self._say(f"embedder: {self._embedder_failure}; answers are cached by exact match only")
        self._embedder_loading = None

    async def _started_embedder(self) -> OnnxEmbedder | SentenceEmbedder:
        settings = self._settings.embedder
        embedder: OnnxEmbedder | SentenceEmbedder
        if settings.engine == "onnx":
            embedder = OnnxEmbedder()
        else:
            embedder = SentenceEmbedder(settings.model, allow_download=settings.allow_download)
        await embedder.start()
        self._stack.push_async_callback(embedder.stop)
        return embedder

    async def _started_index(self, embedder: OnnxEmbedder | SentenceEmbedder) -> EdgeIndex | QdrantIndex:
        settings = self._settings.vectors
        index: EdgeIndex | QdrantIndex
        if settings.qdrant_url == "embedded":
            index = EdgeIndex(
                self._data_dir.path / "vectors",
                engine=embedder.engine,
                dimensions=embedder.dimensions,
                observer=self._observer,
                clock=self._clock,
                max_points=settings.max_points,
            )
        else:
            index = QdrantIndex.connect(
                settings.qdrant_url,
                settings.qdrant_api_key,
                engine=embedder.engine,
                dimensions=embedder.dimensions,
                observer=self._observer,
                clock=self._clock,
            )
        await index.start()
        self._stack.push_async_callback(index.stop)
        return index


def _metrics(catalogs: Catalogs, services: list[str]) -> PrometheusMetrics:
    """Label sets are closed: what the configuration names, and nothing a client sends."""
    models = [model.name for catalog in (catalogs.chat, catalogs.embeddings) for model in catalog.models]
    providers = {model.provider for catalog in (catalogs.chat, catalogs.embeddings) for model in catalog.models}
    return PrometheusMetrics(services, providers, models)

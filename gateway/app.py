"""The composition root: it makes what lives as long as the process, starts it and stops it. What serves requests, and
changes with the configuration, is built by `generation`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from fastapi import FastAPI

from gateway.adapters import genai_price_book, prometheus
from gateway.adapters.child_process import ChildNotReady
from gateway.adapters.clock import SystemClock
from gateway.adapters.data_dir import DataDirError
from gateway.adapters.http1_transport import Http1Transport
from gateway.adapters.httpx_transport import HttpxTransport
from gateway.adapters.key_desk import KeyDesk
from gateway.adapters.key_file import KeyFile, KeyFileError
from gateway.adapters.llama_child import LlamaUnavailable, find_model
from gateway.adapters.llama_provider import LocalModel
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.observers import Observers
from gateway.adapters.onnx_embedder import packaged_minilm
from gateway.adapters.operator_log import OperatorLog
from gateway.adapters.prometheus import PrometheusMetrics
from gateway.adapters.redis_cache import RedisCache
from gateway.adapters.redis_client import connect
from gateway.adapters.redis_door import RedisDoor
from gateway.adapters.siblings import Learned, NoSiblings, Siblings, SnapshotKind
from gateway.adapters.tallying import Tallying
from gateway.adapters.tiktoken_counter import TiktokenCounter
from gateway.adapters.transport import Transport
from gateway.adapters.valkey_child import ValkeyMissing, find_valkey
from gateway.adapters.watched_keys import WatchedKeys
from gateway.catalog import Catalogs, build_catalogs
from gateway.core.errors import InvalidConfiguration
from gateway.core.events import Reloaded
from gateway.core.false_hits import FalseHits
from gateway.core.seat import Seat
from gateway.core.totals import Totals, merged
from gateway.core.worth import Worth, WorthRules
from gateway.fixed_settings import refused_changes
from gateway.flow.fleet import BreakerRules, Fleet
from gateway.flow.meaning import Meaning, MeaningRules
from gateway.flow.tasks import Tasks
from gateway.generation import Generation, Parts
from gateway.household import Household, OwnHousehold, Say, children
from gateway.http.admin import Metrics, admin_app
from gateway.http.cache_routes import add_cache_routes
from gateway.http.explain_route import add_explain_route
from gateway.http.feedback_route import add_feedback_route
from gateway.http.figure_routes import add_figure_routes
from gateway.http.front import Front
from gateway.http.key_routes import add_key_routes
from gateway.http.reload_route import add_reload_route
from gateway.http.service_routes import add_service_routes
from gateway.http.serving import Serving
from gateway.http.ui_page import add_ui
from gateway.ledger_parts import LedgerFiles, LedgerParts
from gateway.metric_readings import Exposition, Reading, of_front, of_memory
from gateway.outlets import outlets
from gateway.ports import Observer
from gateway.providers import ProviderParts
from gateway.semantic_parts import SemanticParts
from gateway.settings import Loaded
from gateway.yaml_source import ConfigError

START_ERRORS = (DataDirError, KeyFileError, LlamaUnavailable, ValkeyMissing, ModuleNotFoundError, ValueError)
"""What keeps a gateway from being built; each message names the mend."""
_LOAD_S = 300.0
_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands in its gateway: what it uses and does not have for itself alone, and who else is there."""

    household: Household
    seat: Seat = field(default_factory=Seat)
    siblings: Siblings = field(default_factory=NoSiblings)


def check(loaded: Loaded) -> Catalogs:
    """Everything a start would need, without starting it. Raises START_ERRORS."""
    catalogs = _catalogs(loaded)
    KeyFile(loaded.settings.keys_path, SystemClock()).read()
    if loaded.settings.state.redis_url == "embedded":
        find_valkey()
    for provider in children(loaded.settings).values():
        find_model(provider.model or "")
    if loaded.settings.embedder.engine == "onnx":
        packaged_minilm()
    return catalogs


def _catalogs(loaded: Loaded) -> Catalogs:
    """Raises ConfigError for a model without a price."""
    return build_catalogs(loaded, genai_price_book.price_of)


class Gateway:
    """One gateway. Give `front` to a server, which starts and stops everything through ASGI's lifespan.

    `listeners` hear every event beside the metrics and the log. Without a `place` it is a gateway of one process.

    Construction takes the data directory (DataDirError when another gateway has it) and opens no connection.
    Raises ConfigError for a model without a price, LlamaUnavailable for a local model that cannot run here,
    KeyFileError for a file of keys that cannot be read.
    """

    def __init__(
        self, loaded: Loaded, say: Say = lambda line: None, *listeners: Observer, place: Place | None = None
    ) -> None:
        settings = loaded.settings
        catalogs = _catalogs(loaded)
        self._loaded = loaded
        self._say = say
        seat = place.seat if place else Seat()
        self._clock = SystemClock()
        self._metrics, self._tally = PrometheusMetrics(started_unix_s=self._clock.unix_s()), Tallying(self._clock)
        self._outlets = outlets(settings, self._clock)
        told = Observers(self._metrics, self._tally, OperatorLog(), *self._outlets, *listeners)
        self._ledger_files = LedgerFiles(settings, seat, told, self._clock)
        self._observer = self._ledger_files.observer
        key_file = KeyFile(settings.keys_path, self._clock)
        self._keys = WatchedKeys(key_file, self._observer, self._clock)
        self._key_desk = KeyDesk(key_file, self._keys)
        self._place = place or Place(OwnHousehold(settings, say))
        self._stack = AsyncExitStack()
        self._stack.push_async_callback(self._place.household.stop)
        self._tasks = Tasks()
        self._redis_timeout_s = settings.state.timeout_ms / 1000
        self._redis = connect(self._place.household.redis_url, timeout_s=self._redis_timeout_s)
        self._memory = MemoryCache(self._clock, max_bytes=settings.cache.exact.memory_bytes)
        self._cache = self._build_cache(alone=settings.state.redis_url == "embedded" and seat.count == 1)
        self._ledger_parts = LedgerParts(settings.state, seat, self._ledger_files, self._redis, self._clock)
        self._ledger = self._ledger_parts.ledger
        self._door = RedisDoor(self._redis, self._clock, self._observer, timeout_s=self._redis_timeout_s)
        self._counter = TiktokenCounter()
        self._transport: Transport = HttpxTransport() if settings.upstream.client == "httpx" else Http1Transport()
        self._models = self._place.household.models
        self._semantic = SemanticParts(settings, seat, self._place.siblings, self._observer, self._clock, self._stack)
        self._parts = self._build_parts()
        self._generation = Generation(loaded, catalogs, self._parts, self._inexperienced())
        self._generation.label(self._metrics)
        self._reloading = asyncio.Lock()
        self.ready = asyncio.Event()
        """Set once everything that takes seconds is there."""
        self.front = Front(self._generation.routes, self._build_behind(), self)

    async def start(self) -> None:
        """Returns when requests can be taken; models go on loading behind."""
        await self._place.household.start()
        for outlet in self._outlets:
            outlet.start()
            self._stack.push_async_callback(outlet.stop)
        self._stack.push_async_callback(self._redis.aclose)
        for part in (self._cache, self._door):
            part.start()
            self._stack.push_async_callback(part.stop)
        before = self._ledger_files.paths()  # and not the one that begins now
        if charged := await self._ledger_parts.start():
            self._say(f"ledger: {charged} requests that a kill had cut were ended in the books")
        self._stack.push_async_callback(self._ledger_parts.stop)
        self._tally.start(before)
        self._stack.push_async_callback(self._tally.stop)
        self._stack.push_async_callback(self._counter.stop)
        self._stack.push_async_callback(self._transport.close)
        self._tasks.start(self._load_models())
        self._stack.push_async_callback(self._tasks.drain, _DRAIN_S)

    async def stop(self) -> None:
        """What was started last stops first; what waits to be written is written."""
        await self._stack.aclose()

    async def reload(self) -> str:
        """Read the configuration again and serve by it; says what that is. Requests in flight keep the old one.

        Raises InvalidConfiguration with every problem: nothing has changed then. Either way `Reloaded` is told.
        """
        if self._place.seat.count > 1:
            return await self._place.siblings.reload()
        async with self._reloading:
            try:
                generation = await self.prepare(self._loaded.again)
            except Exception as error:  # whatever is wrong with the new one, the old one serves, and the log says why
                self.refuse(f"{type(error).__name__}: {error}")
                if isinstance(error, ConfigError):
                    raise InvalidConfiguration(f"Nothing has changed. {error}") from error
                raise
            self.serve_by(generation)
            return str(generation)

    async def prepare(self, read: Callable[[], Loaded]) -> Generation:
        """What would serve by another configuration. Nothing has changed yet. Raises ConfigError."""
        return await asyncio.to_thread(self._next_generation, read)

    def serve_by(self, generation: Generation) -> None:
        """From the next request on."""
        generation.label(self._metrics)
        generation.attach()  # again: a model may have been loaded meanwhile
        self._memory.resize(generation.loaded.settings.cache.exact.memory_bytes)
        self._loaded, self._generation, self.front.routes = generation.loaded, generation, generation.routes
        if generation.wants_index and self._semantic.index is None:
            self._tasks.start(self._load_embedder())
        self._tell_reload(Reloaded(True, str(generation), self._clock.unix_s()))
        self._say(f"reloaded: {generation}")

    def refuse(self, why: str) -> None:
        """A reload came to nothing."""
        self._tell_reload(Reloaded(False, why, self._clock.unix_s()))

    def _tell_reload(self, reloaded: Reloaded) -> None:
        """All workers count it, one writes it down."""
        (self._observer if self._place.seat.is_first else self._metrics).tell(reloaded)

    def reload_behind(self) -> None:
        """Begin a reload, for who cannot wait: a signal. How it ends is told as an event."""
        self._tasks.start(self.reload())

    def _next_generation(self, read: Callable[[], Loaded]) -> Generation:
        """Built beside the one that serves, in a thread: reading and checking files takes tens of milliseconds."""
        loaded = read()
        fixed = refused_changes(self._loaded, loaded)
        if fixed:
            raise ConfigError(*fixed)
        return Generation(loaded, _catalogs(loaded), self._parts, self._generation.meaning)

    async def snapshot(self, kind: SnapshotKind) -> bytes:
        """What this process has counted, for another of the same gateway. A tally that is still being made of the
        ledger's lines is waited for."""
        if kind == "metrics":
            return await asyncio.to_thread(self._metrics.snapshot)
        await self._tally.read()
        return self._tally.snapshot()

    def inherit(self, counted: bytes) -> None:
        """Go on from the metrics of a worker whose place this one takes: counters must not fall."""
        self._metrics.inherit(counted)

    async def learn(self, question: Learned) -> None:
        """What another worker has stored in its embedded index."""
        await self._semantic.learn(question)

    async def forget_here(self, owner: str | None, key: str | None) -> bool:
        """Delete answers as `Serving.forget` does, in this process and in what is shared. False if a part could not be
        reached."""
        return await self._generation.serving.forget(owner, key) is not None

    async def _forget(self, owner: str | None, key: str | None) -> int | None:
        """Here and in all other workers. They come last, so that none can take from Redis again what it forgets."""
        deleted = await self._generation.serving.forget(owner, key)
        return deleted if await self._place.siblings.forget(owner, key) else None

    def _build_cache(self, *, alone: bool) -> RedisCache:
        timeout_s = self._redis_timeout_s
        return RedisCache(self._redis, self._memory, self._clock, self._observer, timeout_s=timeout_s, alone=alone)

    def _build_parts(self) -> Parts:
        return Parts(
            self._clock,
            self._observer,
            self._tasks,
            self._cache,
            self._ledger,
            self._door,
            self._counter,
            self._keys,
            ProviderParts(self._transport, self._cache, self._models, self._build_fleet(), self._place.seat),
            self._semantic,
            most_used=self._tally.most_used_last_month,
            workers=lambda: self._place.siblings.serving,
        )

    def _build_fleet(self) -> Fleet:
        upstream = self._loaded.settings.upstream
        return Fleet(BreakerRules(upstream.breaker_failures, upstream.breaker_open_s), self._clock, self._observer)

    def _build_behind(self) -> FastAPI:
        """Once: its routes ask what serves now."""

        def now() -> Serving:
            return self._generation.serving

        self._metrics.ask(self._readings)
        exposition = Exposition(self._metrics, self._ledger.standing, self._place.siblings)
        metrics = Metrics(lambda: exposition.text(now().services.values()), prometheus.CONTENT_TYPE)
        behind = admin_app(now, metrics, int(self._clock.unix_s()))
        add_cache_routes(behind, now, self._forget)
        add_explain_route(behind, now, lambda: self._generation.routing, self._clock)
        add_reload_route(behind, now, self.reload)
        add_service_routes(behind, now, self._ledger.standing)
        add_key_routes(behind, now, self._key_desk, self._clock)
        add_feedback_route(behind, now, self._observer)
        add_figure_routes(behind, now, self._tallied, self._ledger.standing, self._clock)
        add_ui(behind)
        return behind

    def _readings(self) -> Iterator[Reading]:
        yield from of_front(self.front)
        yield from of_memory(self._memory)
        yield from self._generation.readings()

    async def _tallied(self) -> Totals:
        """Of all workers together."""
        others = await self._place.siblings.snapshots("tally")
        return self._tally.totals() + await asyncio.to_thread(merged, others)

    def _inexperienced(self) -> Meaning:
        """The semantic layer before its first generation."""
        worth, false_hits = Worth(WorthRules()), FalseHits(limit=1.0)
        return Meaning(MeaningRules(), worth, false_hits, self._observer, self._clock, self._tasks)

    async def _load_models(self) -> None:
        """Everything that takes seconds, side by side, each telling when it is there."""
        loading = [self._announce(name, server) for name, server in self._models.items()]
        await asyncio.gather(*loading, self._load_embedder())
        waiting = ", ".join(self._generation.waiting_for())
        if waiting:
            self._say(f"still waiting for {waiting}")
            return
        self.ready.set()
        if self._place.seat.count == 1:  # else the supervisor says so of all
            self._say("ready")

    async def _announce(self, name: str, server: LocalModel) -> None:
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
        await self._semantic.load(with_index=self._generation.wants_index)
        self._generation.attach()
        if self._semantic.failure is not None:
            self._say(f"embedder: {self._semantic.failure}; answers are cached by exact match only")
        elif self._semantic.embedder is not None:
            took_s = self._clock.monotonic_s() - started_s
            self._say(f"embedder: {self._semantic.embedder.engine} ready ({took_s:.2f} s)")

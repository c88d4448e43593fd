"""Asks the caches before anybody is paid, and keeps what was paid for.

Exact first: one hash, usually answered in process. Then by meaning: only the last user message is embedded, everything
else must match to the byte (the scope), the cosine must reach the threshold and the verifier must find nothing that
separates the two questions. A broken or slow cache is a miss.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.chunks import Completion
from gateway.core.events import CacheVerdict, Degraded, Recovered, Stored
from gateway.core.fingerprint import exact_key, question, semantic_scope
from gateway.core.plan import Plan
from gateway.core.verify import verify
from gateway.flow.call import Call
from gateway.flow.tasks import Tasks
from gateway.ports import Cache, Embedder, Observer, SemanticIndex, Vector


@dataclass(frozen=True, slots=True)
class CacheRules:
    """`threshold` is the lowest cosine that may be a hit. `deadline_s` bounds what a miss may wait for the semantic
    layer; a vector that comes later is still stored."""

    exact_ttl_s: int = 3_600
    semantic_ttl_s: int = 3_600
    threshold: float = 0.95
    deadline_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Semantic:
    """The two parts of the semantic layer, both started."""

    embedder: Embedder
    index: SemanticIndex


@dataclass(frozen=True, slots=True)
class Asked:
    """The question as the semantic layer sees it: scope, text, and a vector that may still be on its way."""

    scope: str
    text: str
    vector: asyncio.Task[Vector]


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer: the completion and the catalog name of the model that gave it."""

    completion: Completion
    model: str

    def to_bytes(self) -> bytes:
        return orjson.dumps({"model": self.model, "completion": self.completion})

    @classmethod
    def from_bytes(cls, value: bytes) -> Entry | None:
        """None for what another version wrote: a miss, not an error."""
        try:
            entry: Any = orjson.loads(value)
            return cls(entry["completion"], entry["model"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Found:
    """A look-up's outcome, and what `keep` needs to store the answer if there was none."""

    verdict: CacheVerdict
    key: str
    entry: Entry | None = None
    similarity: float | None = None
    asked: Asked | None = None


class Lookup:
    """Both cache layers, in their order. `cache` None: no cache at all."""

    def __init__(self, cache: Cache | None, rules: CacheRules, observer: Observer, tasks: Tasks) -> None:
        self._cache = cache
        self._rules = rules
        self._observer = observer
        self._tasks = tasks
        self._semantic: Semantic | None = None
        self._embedder_down = False

    def attach(self, semantic: Semantic) -> None:
        """The semantic layer joins when its model is loaded; until then answers are found by their exact key only."""
        self._semantic = semantic

    async def find(self, call: Call, plan: Plan) -> Found:
        """Never raises for a broken cache."""
        scope = f"{call.service.cache_scope}\n{call.options.namespace}"
        key = exact_key(call.chat, scope, plan.resolved)
        if call.options.cache == "off" or self._cache is None:
            return Found("bypass", key)
        if call.options.reads_cache:
            entry = await self._entry(key)
            if entry is not None:
                return Found("hit", key, entry)
        asked = self._ask(call, scope, plan)
        if not call.options.reads_cache:
            return Found("refresh", key, asked=asked)
        return await self._by_meaning(call, key, asked)

    def keep(self, call: Call, found: Found, entry: Entry) -> None:
        """Store a whole answer behind the client's back: in process at once, elsewhere by owned tasks."""
        if self._cache is None or not call.options.writes_cache or not is_cacheable(entry.completion):
            return
        ttl_s = call.options.ttl_s
        self._tasks.start(self._keep(call.service.name, found, entry, ttl_s))

    async def _keep(self, service: str, found: Found, entry: Entry, ttl_s: int | None) -> None:
        assert self._cache is not None
        await self._cache.put(found.key, entry.to_bytes(), ttl_s or self._rules.exact_ttl_s)
        self._observer.tell(Stored("exact", service))
        vector = await self._vector(found.asked) if found.asked else None
        if found.asked and vector and self._semantic:
            semantic_ttl_s = ttl_s or self._rules.semantic_ttl_s
            asked = found.asked
            if await self._semantic.index.add(asked.scope, vector, found.key, asked.text, semantic_ttl_s):
                self._observer.tell(Stored("semantic", service))

    async def _entry(self, key: str) -> Entry | None:
        assert self._cache is not None
        value = await self._cache.get(key)
        return None if value is None else Entry.from_bytes(value)

    def _ask(self, call: Call, scope: str, plan: Plan) -> Asked | None:
        """Start embedding the question, if there is one to compare by meaning."""
        text = question(call.chat)
        if self._semantic is None or text is None or not _fits(self._semantic.embedder, text):
            return None
        embedder = self._semantic.embedder
        semantic = semantic_scope(call.chat, scope, plan.resolved, embedder.engine)
        return Asked(semantic, text, self._tasks.start(_embed(embedder, text)))

    async def _by_meaning(self, call: Call, key: str, asked: Asked | None) -> Found:
        if asked is None or self._semantic is None:
            return Found("miss", key)
        threshold = max(self._rules.threshold, call.options.threshold or 0.0)
        try:
            async with asyncio.timeout(self._rules.deadline_s):
                vector = await self._vector(asked)
                match = vector and await self._semantic.index.nearest(asked.scope, vector, threshold)
        except TimeoutError:
            return Found("miss", key, asked=asked)
        if not match or not verify(asked.text, match.text).ok:
            return Found("miss", key, asked=asked)
        entry = await self._entry(match.key)
        if entry is None:
            return Found("miss", key, asked=asked)
        return Found("semantic-hit", key, entry, match.similarity, asked)

    async def _vector(self, asked: Asked) -> Vector | None:
        """Shielded: a look-up that gives up leaves the embedding to whoever stores the answer."""
        try:
            vector = await asyncio.shield(asked.vector)
        except Exception as error:  # the border: an embedder's failure, whatever its engine raises, is a miss
            if not self._embedder_down:
                self._embedder_down = True
                self._observer.tell(Degraded("embedder", f"{type(error).__name__}: {error}"))
            return None
        if self._embedder_down:
            self._embedder_down = False
            self._observer.tell(Recovered("embedder"))
        return vector


def is_cacheable(completion: Completion) -> bool:
    """Only whole, successful, unrefused text: every choice ended with `stop`, said something and called no tool."""
    choices = completion.get("choices") or []
    return bool(choices) and all(_is_plain_answer(choice) for choice in choices)


def _is_plain_answer(choice: dict[str, Any]) -> bool:
    message = choice.get("message") or {}
    return (
        choice.get("finish_reason") == "stop"
        and bool(message.get("content"))
        and not message.get("refusal")
        and not message.get("tool_calls")
    )


def _fits(embedder: Embedder, text: str) -> bool:
    """A text the embedder would cut is never compared by meaning: what differs may lie behind the cut. Eight
    characters a token is rarer than any real text, so longer ones are not even counted."""
    return len(text) <= embedder.max_tokens * 8 and embedder.count_tokens(text) <= embedder.max_tokens


async def _embed(embedder: Embedder, text: str) -> Vector:
    return (await embedder.embed([text]))[0]

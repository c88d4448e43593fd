"""Finds stored questions that mean the same, within a deadline, and only where that is worth the wait.

Only the last user message is embedded; everything else must match to the byte (the scope), the cosine must reach the
threshold, and the verifier must find nothing that separates the two questions. Whatever keeps a question from being
looked up or answered so is said in one reason. A broken or slow part is a miss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from gateway.core.events import Degraded, Recovered
from gateway.core.false_hits import FalseHits
from gateway.core.fingerprint import question, semantic_scope
from gateway.core.plan import Plan
from gateway.core.verify import verify
from gateway.core.worth import Worth, WorthRules
from gateway.flow.call import Call
from gateway.flow.tasks import Tasks
from gateway.ports import Clock, Embedder, Match, Observer, SemanticIndex, Vector

A = TypeVar("A")

LONGEST_TOKENS = 200
"""Of a question that is compared by meaning. The embedder cuts at 256, and what a long text asks drowns in the rest
of it before that (SEMANTIC_CACHE study, 2026-11-23: passages with another question hit in 87 %)."""

MAX_WAITING_TOKENS = 4_096
"""That may wait for the embedder, 1.5 s of one core: a burst must not pile up work for minutes."""


@dataclass(frozen=True, slots=True)
class MeaningRules:
    """`threshold` is the lowest cosine that may be a hit. `deadline_s` bounds what a question may wait for the layer;
    a vector that comes later is still stored, for `ttl_s`."""

    threshold: float = 0.95
    deadline_s: float = 0.03
    ttl_s: int = 3_600


@dataclass(frozen=True, slots=True)
class Semantic:
    """The two parts of the semantic layer, both started."""

    embedder: Embedder
    index: SemanticIndex


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the layer sees it. `vector` may still be on its way; None: nothing is looked up, and the text is
    embedded when there is an answer to store. `reason` explains a look-up that does not pay, made or not."""

    scope: str
    text: str
    tokens: int
    vector: asyncio.Task[Vector] | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Near(Generic[A]):
    """The answer of a verified match and its cosine, or None and why. `waited_s`: how long the question was kept."""

    answer: A | None = None
    similarity: float | None = None
    reason: str = ""
    waited_s: float = 0.0


class Meaning:
    """The semantic layer. Until `attach` it has no parts, and every question is a stranger to it."""

    def __init__(
        self, rules: MeaningRules, worth: Worth, false_hits: FalseHits, observer: Observer, clock: Clock, tasks: Tasks
    ) -> None:
        self.worth = worth
        self.false_hits = false_hits
        self._rules = rules
        self._observer = observer
        self._clock = clock
        self._tasks = tasks
        self._semantic: Semantic | None = None
        self._embedder_down = False
        self._waiting_tokens = 0
        self._embedding_since_s: dict[object, float] = {}

    def under(self, rules: MeaningRules, worth: WorthRules, false_hit_limit: float) -> Meaning:
        """The same layer by other rules. What it has learned is shared; what is being embedded now stays behind."""
        other = copy(self)
        other._rules = rules
        other._waiting_tokens = 0
        other._embedding_since_s = {}
        other.worth = self.worth.under(worth)
        other.false_hits = self.false_hits.under(false_hit_limit)
        return other

    def attach(self, semantic: Semantic | None) -> None:
        """The parts join when the model is loaded; until then answers are found by their exact key only."""
        self._semantic = semantic

    def ask(self, call: Call, scope: str, plan: Plan) -> Asked | str:
        """Start embedding the question. A string says why there is none to compare by meaning; it may be empty."""
        text = question(call.chat)
        if self._semantic is None or text is None:
            return ""
        if self.false_hits.is_closed(call.service.name):
            return "semantic off: too many false hits"
        embedder = self._semantic.embedder
        tokens = _tokens(embedder, text)
        longest = min(LONGEST_TOKENS, embedder.max_tokens)
        if tokens > longest:
            return f"semantic skipped: the question is longer than {longest} tokens"
        waiting = self._waiting_tokens + tokens
        if waiting > MAX_WAITING_TOKENS:
            return f"semantic skipped: {self._waiting_tokens} tokens wait for the embedder"
        asked = Asked(semantic_scope(call.chat, scope, plan.resolved, embedder.engine), text, tokens, None)
        return self._weighed(call, plan, asked, waiting) if call.options.reads_cache else asked

    def _weighed(self, call: Call, plan: Plan, asked: Asked, waiting: int) -> Asked:
        """With its vector on the way if the look-up may come in time and pays; `waiting` tokens are to be embedded."""
        if (stuck_s := self._stuck_s()) > self._rules.deadline_s:
            return replace(asked, reason=f"semantic skipped: the embedder has been silent for {stuck_s * 1000:.0f} ms")
        wait_s = self.worth.wait_s(waiting)
        if self.worth.is_hopeless(waiting, self._rules.deadline_s):
            late = f"{wait_s * 1000:.0f} ms are more than {self._rules.deadline_s * 1000:g} ms"
            return replace(asked, reason=f"semantic skipped: about {late}")
        service = call.service.name
        false_rate = self.false_hits.likely(service)
        weighed = self.worth.weigh(
            service, call.chat, plan.attempts[0], false_rate=false_rate, wait_s=wait_s, unix_s=call.asked_at_s
        )
        vector = self._embedding(asked.text, asked.tokens) if weighed.look else None
        return replace(asked, vector=vector, reason=weighed.reason)

    async def nearest(self, call: Call, asked: Asked, fetch: Callable[[str], Coroutine[Any, Any, A | None]]) -> Near[A]:
        """`fetch` gets the answer under a key, within the deadline like all the rest; it must not raise."""
        started_s = self._clock.monotonic_s()
        answer, match = None, None
        try:
            async with asyncio.timeout(self._rules.deadline_s):
                match, reason = await self._verified(call, asked)
                if match is not None:
                    answer = await asyncio.shield(self._tasks.start(fetch(match.key)))
        except TimeoutError:
            reason = f"semantic gave up after {self._rules.deadline_s * 1000:g} ms"
        waited_s = self._clock.monotonic_s() - started_s
        self.worth.looked(call.service.name, hit=answer is not None)
        similarity = match.similarity if match and answer is not None else None
        return Near(answer, similarity, reason or asked.reason, waited_s)

    async def add(self, asked: Asked, key: str, ttl_s: int | None, owner: str) -> bool:
        """Store a question whose answer is under `key`. Whether it was stored."""
        if self._semantic is None:
            return False
        vector = await self._vector(asked.vector or self._embedding(asked.text, asked.tokens))
        return vector is not None and await self._semantic.index.add(
            asked.scope, vector, key, asked.text, ttl_s or self._rules.ttl_s, owner
        )

    async def forget(self, owner: str | None, key: str | None) -> bool:
        """Delete questions, as `ports.SemanticIndex.forget`."""
        return self._semantic is None or await self._semantic.index.forget(owner, key)

    async def likeness(self, one: str, two: str) -> float | None:
        """The cosine of two texts, each as far as the embedder's window goes; None when it cannot be told."""
        if self._semantic is None:
            return None
        embedder = self._semantic.embedder
        vectors = [await self._vector(self._embedding(text, _tokens(embedder, text))) for text in (one, two)]
        if vectors[0] is None or vectors[1] is None:
            return None
        return sum(x * y for x, y in zip(vectors[0], vectors[1], strict=True))

    async def _verified(self, call: Call, asked: Asked) -> tuple[Match | None, str]:
        """The nearest stored question if the verifier lets it pass, else why it does not."""
        assert self._semantic is not None
        assert asked.vector is not None
        vector = await self._vector(asked.vector)
        if vector is None:
            return None, "semantic skipped: the embedder failed"
        threshold = max(self._rules.threshold, call.options.threshold or 0.0)
        match = await self._semantic.index.nearest(asked.scope, vector, threshold)
        if match is None:
            return None, ""
        verdict = verify(asked.text, match.text)
        return (match, "") if verdict.ok else (None, f"near question refused: {', '.join(verdict.reasons)}")

    async def _vector(self, coming: asyncio.Task[Vector]) -> Vector | None:
        """Shielded: a look-up that gives up leaves the embedding to whoever stores the answer."""
        try:
            vector = await asyncio.shield(coming)
        except Exception as error:  # the border: an embedder's failure, whatever its engine raises, is a miss
            if not self._embedder_down:
                self._embedder_down = True
                self._observer.tell(Degraded("embedder", f"{type(error).__name__}: {error}"))
            return None
        if self._embedder_down:
            self._embedder_down = False
            self._observer.tell(Recovered("embedder"))
        return vector

    def _embedding(self, text: str, tokens: int) -> asyncio.Task[Vector]:
        return self._tasks.start(self._embed(text, min(tokens, self._window())))

    async def _embed(self, text: str, tokens: int) -> Vector:
        """Counted while it waits, and timed: that is the embedder's pace."""
        assert self._semantic is not None
        self._waiting_tokens += tokens
        waiting, started_s, embedding = self._waiting_tokens, self._clock.monotonic_s(), object()
        self._embedding_since_s[embedding] = started_s
        try:
            vector = (await self._semantic.embedder.embed([text]))[0]
        finally:
            self._waiting_tokens -= tokens
            del self._embedding_since_s[embedding]
        self.worth.embedded(waiting, self._clock.monotonic_s() - started_s)
        return vector

    def _stuck_s(self) -> float:
        """How long the oldest text has been with the embedder. Texts behind one that is later than the deadline would
        wait in vain as well, so nobody waits for an embedder that has stopped; a pace needs an answer to be seen."""
        oldest_s = next(iter(self._embedding_since_s.values()), None)
        return 0.0 if oldest_s is None else self._clock.monotonic_s() - oldest_s

    def _window(self) -> int:
        assert self._semantic is not None
        return self._semantic.embedder.max_tokens


def _tokens(embedder: Embedder, text: str) -> int:
    """A text the embedder would cut is never compared by meaning: what differs may lie behind the cut. Eight
    characters a token is rarer than any real text, so longer ones are not even counted."""
    if len(text) > embedder.max_tokens * 8:
        return embedder.max_tokens + 1
    return embedder.count_tokens(text)

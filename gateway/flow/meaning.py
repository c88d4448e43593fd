"""Finds stored questions that mean the same, within a deadline, and only where that is worth the wait.

Only the last user message is embedded; everything else must match to the byte (the scope), the cosine must reach the
threshold, and the verifier must find nothing that separates the two questions. Whatever keeps a question from being
looked up or answered so is said in one reason. A broken or slow part is a miss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gateway.core.events import Degraded, Recovered, SemanticPassed
from gateway.core.false_hits import FalseHits
from gateway.core.fingerprint import question, semantic_scope
from gateway.core.frozen import value
from gateway.core.plan import Model, Plan
from gateway.core.verify import verify
from gateway.core.worth import Weighed, Worth, WorthRules
from gateway.flow.call import Call
from gateway.flow.tasks import Tasks
from gateway.ports import Clock, Embedder, Match, Observer, SemanticIndex, Vector

A = TypeVar("A")

LONGEST_TOKENS = 200
"""Of a question that is compared by meaning. The embedder cuts at 256, and what a long text asks drowns in the rest
of it before that (SEMANTIC_CACHE study, 2026-11-23: passages with another question hit in 87 %)."""

LONGEST_TOKEN_CHARS = 8
"""On the average of a text; rarer than any real one, so a longer text is beyond the window and not even counted."""

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


@value(frozen=True, slots=True)
class Asked:
    """A question as the layer sees it. `vector` may still be on its way; None: nothing is looked up, and the text is
    embedded when there is an answer to store. `reason` explains that, and a look-up that is made and does not pay."""

    scope: str
    text: str
    tokens: int
    vector: asyncio.Task[Vector] | None
    reason: str = ""


@value(frozen=True, slots=True)
class Passed:
    """A question that the layer leaves alone: in one word for a metric, None when there was nothing to leave, and in
    a sentence for who asked."""

    why: SemanticPassed | None
    reason: str


_NOTHING = Passed(None, "")
_CLOSED = Passed("closed", "semantic off: too many false hits")


@value(frozen=True, slots=True)
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

    def ask(self, call: Call, scope_of: Callable[[Call], str], plan: Plan) -> Asked | Passed:
        """Start embedding the question, or say why it is neither looked up nor stored. Most questions are passed, so
        what is dear is asked last."""
        semantic, text = self._semantic, question(call.chat)
        if semantic is None or text is None:
            return _NOTHING
        service, model = call.service.name, plan.attempts[0]
        if self.false_hits.is_closed(service):
            return _CLOSED
        weighed = self._weighed(service, model, text, call.asked_at_s)
        if weighed.verdict in ("unpaid", "late"):
            return Passed("unpaid", weighed.reason) if weighed.verdict == "unpaid" else self._late(weighed.wait_s)
        tokens = _tokens(semantic.embedder, text)
        if (too_much := self._too_much(tokens, weighed)) is not None:
            return too_much
        if weighed.verdict == "explored":
            self.worth.explored(service, model, tokens)
        scope = semantic_scope(call.chat, scope_of(call), plan.resolved, semantic.embedder.engine)
        if not call.options.reads_cache:
            return Asked(scope, text, tokens, None)
        return Asked(scope, text, tokens, self._embedding(text, tokens), weighed.reason)

    def _weighed(self, service: str, model: Model, text: str, unix_s: float) -> Weighed:
        return self.worth.weigh(
            service,
            model,
            text,
            false_rate=self.false_hits.likely(service),
            waiting_tokens=self._waiting_tokens,
            deadline_s=self._rules.deadline_s,
            unix_s=unix_s,
        )

    def _too_much(self, tokens: int, weighed: Weighed) -> Passed | None:
        """Why the embedder is given nothing, or nothing now, once the tokens are counted."""
        longest = min(LONGEST_TOKENS, self._window())
        if tokens > longest:
            return Passed("long", f"semantic skipped: the question is longer than {longest} tokens")
        if (stuck_s := self._stuck_s()) > self._rules.deadline_s:
            return Passed("stuck", f"semantic skipped: the embedder has been silent for {stuck_s * 1000:.0f} ms")
        if self._waiting_tokens + tokens > MAX_WAITING_TOKENS:
            return Passed("backlog", f"semantic skipped: {self._waiting_tokens} tokens wait for the embedder")
        wait_s = self.worth.wait_s(self._waiting_tokens + tokens)
        late = weighed.verdict == "pays" and self.worth.is_late(wait_s, self._rules.deadline_s)
        return self._late(wait_s) if late else None

    def _late(self, wait_s: float) -> Passed:
        """What would come too late is not embedded for later either: whoever asks the same would be as late."""
        deadline_ms = self._rules.deadline_s * 1000
        return Passed("late", f"semantic skipped: about {wait_s * 1000:.0f} ms are more than {deadline_ms:g} ms")

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
    """As many as its window takes, uncounted, of a text that is surely longer."""
    if len(text) > embedder.max_tokens * LONGEST_TOKEN_CHARS:
        return embedder.max_tokens + 1
    return embedder.count_tokens(text)

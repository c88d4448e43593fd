"""A request's life, read downward: plan, look up, join, hold and dispatch, yield, settle, store, tell.

`serve` is one async context manager. Above its yield the client has heard nothing and an error becomes a status; below
it the last byte is out. A flight settles and stores at its end, so both are done before the client has seen the end;
when its last reader leaves early, the same is done for what there was. Exactly one `RequestFinished` is told for each
request, in the finally; for the one that opened a flight, once the flight's bill is known.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Protocol

import orjson

from gateway.core.chunks import Chunk, Completion, split
from gateway.core.options import DEFAULT
from gateway.core.plan import Catalog, Plan
from gateway.flow.baselines import Baselines
from gateway.flow.call import Call, Trail
from gateway.flow.dispatch import Dispatch
from gateway.flow.flight import Flight
from gateway.flow.join import Question, Questions
from gateway.flow.light_shadow import LightShadow
from gateway.flow.lookup import Entry, Found, Lookup
from gateway.flow.routing import Routing
from gateway.flow.shadow import Shadow
from gateway.flow.shared_flight import Client, Reader, SharedFlight
from gateway.ports import Clock, Observer


class Answer(Protocol):
    """What `serve` yields: chunks as they come (`more`, until there are none), or all of them at once, also as OpenAI's
    JSON. Take one form, once."""

    trail: Trail

    async def more(self) -> Sequence[Chunk]: ...
    async def whole(self) -> Completion: ...
    async def json(self) -> bytes: ...


class Pipeline:
    """The walk. It knows no vendor and no HTTP."""

    def __init__(
        self,
        catalog: Catalog,
        routing: Routing,
        lookup: Lookup,
        questions: Questions,
        dispatch: Dispatch,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._routing = routing
        self._lookup = lookup
        self._questions = questions
        self._dispatch = dispatch
        self._observer = observer
        self._clock = clock
        self._shadow: Shadow | None = None
        self._light_shadow: LightShadow | None = None
        self._baselines = Baselines(catalog)

    def check_hits(self, shadow: Shadow) -> None:
        """From now on `shadow` hears of every semantic hit, and checks those it chooses."""
        self._shadow = shadow

    def check_light(self, shadow: LightShadow) -> None:
        """From now on `shadow` hears of every whole answer of a model, and checks those it chooses."""
        self._light_shadow = shadow

    def compare_with(self, baselines: Baselines) -> None:
        """From now on savings are told against these."""
        self._baselines = baselines

    def serve(self, call: Call, client: Client | None = None) -> Serving:
        """A single-use async context manager. Entering raises the errors of `core.errors`; after it they are raised
        only while the answer is taken. Who asks may come to fly for others, and is cancelled when the `client` leaves
        only where that harms nobody."""
        return Serving(self, Trail(call), client)

    async def begin(self, serving: Serving) -> Answer:
        """Above the yield."""
        trail, call = serving.trail, serving.trail.call
        try:
            plan = trail.plan = await self._routing.plan(call.chat, call.options, call.service, call.asked_at_s)
            trail.compared = self._baselines.of(call.service, plan, call.asked_at_s)
            key, reads = self._lookup.key(call, plan), self._lookup.reads(call)
            stored = self._lookup.at_hand(call, key) if reads else None
            if stored is not None:
                trail.cache = "hit"
            else:
                stored = await self._asked(serving, plan, key, reads)
            if stored is not None:
                return self._replay(trail, stored)
            reader = serving.reader
            assert reader is not None
            await reader.taken_off()
            if trail is not reader.flight.trail:
                self._joined(trail, reader.flight)
            return _Live(trail, reader)
        except BaseException as error:
            await self.end(serving, error)
            raise

    async def end(self, serving: Serving, error: BaseException | None) -> None:
        """Below the yield, or above it if nothing came of it."""
        try:
            if serving.reader is not None and not serving.reader.flight.ended:
                await serving.reader.leave()
        except BaseException as interruption:
            error = interruption
            raise
        finally:
            if serving.question is not None:
                self._questions.leave(serving.question)
            if error is not None:
                serving.trail.failed(error)
            self._tell(serving.trail, serving.reader)

    async def _asked(self, serving: Serving, plan: Plan, key: str, reads: bool) -> Entry | None:
        """As `_stored`, in turn with who asks the same at the same time."""
        call = serving.trail.call
        same = (call.service.name, key, None if call.options is DEFAULT else call.options) if reads else None
        question = serving.question = self._questions.ask(same)
        await question.turn()
        try:
            return await self._stored(serving, plan, key, question)
        finally:
            question.done()

    async def _stored(self, serving: Serving, plan: Plan, key: str, question: Question) -> Entry | None:
        """A stored answer. None: the request has a place in a flight, one that is in the air or else one of its own."""
        trail = serving.trail
        serving.reader = question.board(serving.client)
        if serving.reader is not None:
            trail.cache, trail.cause = "joined", "single_flight"
            return None
        found = question.heard() or await self._lookup.find(trail.call, plan, key)
        trail.cache, trail.similarity, trail.cache_reason = found.verdict, found.similarity, found.reason
        if found.entry is not None:
            question.hit(found)
            return found.entry
        keep = partial(self._keep, trail, plan, found)
        flight = SharedFlight(trail, partial(self._dispatch.open, trail, plan), keep)
        serving.reader = question.open(flight, serving.client)
        return None

    async def _keep(
        self, trail: Trail, plan: Plan, found: Found, flight: Flight, completion: Completion
    ) -> bytes | None:
        """What a model below the planned one answered, in its need, is not kept: it would go on answering after it. Nor
        is what did not pass its review."""
        body, model = None, flight.model
        below = model is not plan.attempts[0] and model.tier.rank < plan.attempts[0].tier.rank
        if not below and (trail.review is None or trail.review.result != "failed"):
            paid = trail.answered, trail.answer_nano_usd
            body = await self._lookup.keep(trail.call, found, completion, model.name, *paid, flight.dropped)
        if self._light_shadow is not None:
            self._light_shadow.consider(trail.call, plan, model, completion)
        return body

    def _joined(self, trail: Trail, flight: SharedFlight) -> None:
        """What another request's flight says of this one: who answers, and nothing to pay."""
        trail.model, trail.dropped, trail.review = flight.trail.model, flight.trail.dropped, flight.trail.review
        trail.first_chunk_s = self._clock.monotonic_s() - trail.call.started_s

    def _tell(self, trail: Trail, reader: Reader | None) -> None:
        now_s = self._clock.monotonic_s()
        if reader is None or trail is not reader.flight.trail:
            self._observer.tell(trail.finished(now_s))
        elif reader.flight.ended:
            self._landed(trail, now_s)
        else:
            reader.flight.when_landed(partial(self._landed, trail, now_s))

    def _landed(self, trail: Trail, now_s: float) -> None:
        self._routing.landed(trail)
        self._observer.tell(trail.finished(now_s))

    def _replay(self, trail: Trail, entry: Entry) -> Answer:
        """A hit costs nothing; it saved what the original answer's tokens would have cost."""
        trail.model = self._catalog.find(entry.model)
        trail.usage = trail.answered = entry.usage
        trail.dropped = entry.dropped
        trail.cache_key, trail.cache_age_s = entry.key, self._clock.unix_s() - entry.stored_at_s
        trail.first_chunk_s = self._clock.monotonic_s() - trail.call.started_s
        trail.cause = "exact_cache" if trail.cache == "hit" else "semantic_cache"
        if trail.cache == "semantic-hit" and trail.plan is not None and self._shadow is not None:
            self._shadow.consider(trail.call, trail.plan, entry.completion)
        return _Replay(trail, entry)


class Serving:
    """`async with`: entered, the answer has begun; left, it has been told of. A class, because a generator in its place
    costs a weak reference and four more calls for each request."""

    __slots__ = ("_pipeline", "client", "question", "reader", "trail")

    def __init__(self, pipeline: Pipeline, trail: Trail, client: Client | None) -> None:
        self.trail = trail
        self.client = client
        self.question: Question | None = None
        self.reader: Reader | None = None
        self._pipeline = pipeline

    def __aenter__(self) -> Coroutine[Any, Any, Answer]:
        return self._pipeline.begin(self)

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Coroutine[Any, Any, None]:
        return self._pipeline.end(self, error)


class _Replay:
    """A stored answer, whole or taken apart again."""

    def __init__(self, trail: Trail, entry: Entry) -> None:
        self.trail = trail
        self._entry = entry
        self._told = False

    async def more(self) -> Sequence[Chunk]:
        if self._told:
            return ()
        self._told = True
        return split(self._entry.completion)

    async def whole(self) -> Completion:
        return self._entry.completion

    async def json(self) -> bytes:
        return self._entry.body


class _Live:
    """An answer that is being given now. Who joined it pays nothing and saves what its tokens would have cost."""

    def __init__(self, trail: Trail, reader: Reader) -> None:
        self.trail = trail
        self._reader = reader

    async def more(self) -> Sequence[Chunk]:
        chunks = await self._reader.flight.more(self._reader)
        if not chunks:
            self._heard()
        return chunks

    async def whole(self) -> Completion:
        completion = await self._reader.whole()
        self._heard()
        return completion

    async def json(self) -> bytes:
        flight = self._reader.flight
        if flight.body is None:
            completion = await self.whole()
            return flight.body or orjson.dumps(completion)
        self._heard()
        return flight.body

    def _heard(self) -> None:
        flight = self._reader.flight
        if self.trail is not flight.trail:
            self.trail.usage = self.trail.answered = flight.trail.answered

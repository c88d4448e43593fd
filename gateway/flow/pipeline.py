"""A request's life, read downward: plan, look up, hold and dispatch, yield, settle, store, tell.

`serve` is one async context manager. Above its yield the client has heard nothing and an error becomes a status; below
it the last byte is out. The answer's own iteration settles and stores at its end, so both are done before the client
has seen the end; leaving early does the same for what there was. Exactly one `RequestFinished` is told, in the finally.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from gateway.core.chunks import Chunk, Completion, split
from gateway.core.errors import ThriftgateError, UpstreamError
from gateway.core.plan import Catalog, Model, Plan, make_plan
from gateway.core.service import Service
from gateway.core.usage import Usage
from gateway.flow.call import Call, Trail
from gateway.flow.dispatch import Dispatch
from gateway.flow.flight import Flight
from gateway.flow.lookup import Entry, Found, Lookup
from gateway.flow.shadow import Shadow
from gateway.ports import Clock, Observer


class Answer(Protocol):
    """What `serve` yields: chunks as they come, or the whole of them. Take one or the other, once."""

    trail: Trail

    def chunks(self) -> AsyncGenerator[Chunk, None]: ...
    async def whole(self) -> Completion: ...


class Pipeline:
    """The walk. It knows no vendor and no HTTP."""

    def __init__(self, catalog: Catalog, lookup: Lookup, dispatch: Dispatch, observer: Observer, clock: Clock) -> None:
        self._catalog = catalog
        self._lookup = lookup
        self._dispatch = dispatch
        self._observer = observer
        self._clock = clock
        self._shadow: Shadow | None = None

    def check_hits(self, shadow: Shadow) -> None:
        """From now on `shadow` hears of every semantic hit, and checks those it chooses."""
        self._shadow = shadow

    @asynccontextmanager
    async def serve(self, call: Call) -> AsyncIterator[Answer]:
        """Raises the errors of `core.errors` before the yield; after it, only while the answer is iterated."""
        trail = Trail(call)
        try:
            plan = trail.plan = make_plan(call.chat, call.options, call.service, self._catalog)
            trail.baselines = self._baselines(call.service, plan)
            found = await self._lookup.find(call, plan)
            trail.cache, trail.similarity, trail.cache_reason = found.verdict, found.similarity, found.reason
            if found.entry is not None:
                yield self._replay(trail, found.entry)
            else:
                trail.mechanism = None if plan.pinned else "tier"
                async with self._dispatch.open(trail, plan) as flight:
                    yield _Live(trail, flight, self._lookup, found)
        except ThriftgateError as error:
            trail.failed(error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            trail.outcome = "client_disconnect"
            raise
        except Exception:
            trail.outcome = "internal_error"
            raise
        finally:
            self._observer.tell(trail.finished(self._clock.monotonic_s()))

    def _replay(self, trail: Trail, entry: Entry) -> Answer:
        """A hit costs nothing; it saved what the original answer's tokens would have cost."""
        trail.model = self._catalog.find(entry.model)
        trail.usage = trail.answered = Usage.from_openai(entry.completion.get("usage") or {})
        trail.first_chunk_s = self._clock.monotonic_s() - trail.call.started_s
        trail.mechanism = "exact-cache" if trail.cache == "hit" else "semantic-cache"
        if trail.cache == "semantic-hit" and trail.plan is not None and self._shadow is not None:
            self._shadow.consider(trail.call, trail.plan, entry.completion)
        return _Replay(trail, entry.completion)

    def _baselines(self, service: Service, plan: Plan) -> tuple[Model, ...]:
        """What the request is compared with: the service's baseline, else all it could have used here."""
        baseline = self._catalog.find(service.baseline_model) if service.baseline_model else None
        if plan.pinned:
            return plan.attempts
        return (baseline,) if baseline else self._catalog.present()


class _Replay:
    """A stored answer, whole or taken apart again."""

    def __init__(self, trail: Trail, completion: Completion) -> None:
        self.trail = trail
        self._completion = completion

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        for chunk in split(self._completion):
            yield chunk

    async def whole(self) -> Completion:
        return self._completion


class _Live:
    """An answer that is being given now; kept once it is whole."""

    def __init__(self, trail: Trail, flight: Flight, lookup: Lookup, found: Found) -> None:
        self.trail = trail
        self._flight = flight
        self._lookup = lookup
        self._found = found

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        try:
            async with aclosing(self._flight.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
        except UpstreamError as error:
            self.trail.failed(error)
            raise
        except Exception:
            self.trail.outcome = "internal_error"
            raise
        self._lookup.keep(
            self.trail.call, self._found, Entry(self._flight.answer.completion(), self._flight.model.name)
        )

    async def whole(self) -> Completion:
        async with aclosing(self.chunks()) as chunks:
            async for _ in chunks:
                pass
        return self._flight.answer.completion()

"""Tries the plan's models until one has begun to answer. After the first chunk nothing is tried again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.core.bid import bid
from gateway.core.errors import (
    LedgerUnavailable,
    LimitExceeded,
    ThriftgateError,
    Unavailable,
    UnsupportedParameter,
    UpstreamError,
)
from gateway.core.estimate import choices_of
from gateway.core.events import AttemptFailed
from gateway.core.ladder import Rung
from gateway.core.plan import Model, Plan
from gateway.core.retry import Again, Leave, RetryPolicy, after_failure
from gateway.flow.call import Trail
from gateway.flow.candidates import candidates
from gateway.flow.flight import Flight, Ground
from gateway.flow.hosts import Hosts
from gateway.flow.tasks import shielded
from gateway.ports import Clock, Observer


class Dispatch:
    """Holds, asks, retries, falls back. `hosts` are by the catalog provider's name."""

    def __init__(
        self,
        hosts: Mapping[str, Hosts],
        ground: Ground,
        policy: RetryPolicy,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._hosts = hosts
        self._ground = ground
        self._policy = policy
        self._observer = observer
        self._clock = clock

    @asynccontextmanager
    async def open(self, trail: Trail, plan: Plan) -> AsyncIterator[Flight]:
        """A flight that has taken off. On leaving, it has landed: closed upstream, settled in the ledger."""
        flight = await self._launch(trail, plan)
        trail.model = flight.model
        trail.dropped = flight.dropped
        trail.first_chunk_s = self._clock.monotonic_s() - trail.call.started_s
        try:
            yield flight
        finally:
            await shielded(flight.land())

    async def _launch(self, trail: Trail, plan: Plan) -> Flight:
        """Once a budget has refused an attempt, only stand-ins and local models are asked: nobody else costs less."""
        failure: ThriftgateError | None = None
        models, reasons = candidates(plan, self._hosts)
        trail.passed_over.extend(reasons)
        for at, model in enumerate(models):
            if trail.stepped_down and not (model.local or model.name in plan.stand_ins):
                continue
            try:
                return await self._reach(trail, model, _rung(plan, model), fallbacks=len(models) - at - 1)
            except (LimitExceeded, LedgerUnavailable, UnsupportedParameter) as error:
                failure = failure or error
            except UpstreamError as error:
                failure = _to_tell(failure, error)
                if not error.asked:
                    trail.passed_over.append(f"{model.name} passed over ({error.code})")
                if not error.try_next:
                    break
        raise failure or Unavailable("No model could be tried.")

    async def _reach(self, trail: Trail, model: Model, rung: Rung, fallbacks: int) -> Flight:
        """One model, at one of its hosts after the other, and again. Raises the last failure that was one."""
        hosts = self._hosts[model.provider]
        failure: UpstreamError | None = None
        tried = 0
        while True:
            try:
                hosts.check(model, trail.asked)
                tried += 1
                trail.attempts += 1
                return await self._attempt(trail, model, rung)
            except (LimitExceeded, LedgerUnavailable) as refusal:
                trail.stepped_down = trail.stepped_down or refusal.code or "budget"
                raise failure or refusal from None
            except UpstreamError as error:
                if not error.asked:
                    raise failure or error from None
                failure = error
            self._observer.tell(AttemptFailed(trail.call.id, model.name, model.provider, failure.code or "error"))
            step = self._next_step(trail, model, failure, tried, fallbacks)
            if not isinstance(step, Again):
                raise failure
            if step.after_s:
                await asyncio.sleep(step.after_s)

    def _next_step(
        self, trail: Trail, model: Model, failure: UpstreamError, tried: int, fallbacks: int
    ) -> Again | Leave:
        """Nobody waits for a host that could not be asked afterwards."""
        hosts = self._hosts[model.provider]
        others = hosts.unasked(model, trail.asked)
        step = after_failure(self._policy, failure, tried, fallbacks, others, random.random())  # noqa: S311  # jitter
        if isinstance(step, Again) and hosts.wait_s(model, trail.asked) > step.after_s:
            return Leave()
        return step

    async def _attempt(self, trail: Trail, model: Model, rung: Rung) -> Flight:
        """One hold, one request. A second attempt may be billed as well, so each has a reservation of its own."""
        call = trail.call
        payer = call.service.unmetered if model.local else call.service.payer
        hold = await self._ground.ledger.hold(
            f"{call.id}.{trail.attempts}", payer, bid(call.chat, model, call.asked_at_s), rung
        )
        trail.standings = hold.standings
        flight = Flight(self._ground, trail, model, hold)
        each_choice = hold.output_tokens // choices_of(call.chat) if payer.is_limited else None
        try:
            await flight.take_off(self._hosts[model.provider], each_choice)
        except BaseException:
            await shielded(flight.land())
            raise
        return flight


def _rung(plan: Plan, model: Model) -> Rung:
    if not plan.stand_ins:
        return "wall"
    return "cheaper" if model.name in plan.stand_ins else "wanted"


def _to_tell(before: ThriftgateError | None, error: UpstreamError) -> ThriftgateError:
    """Of two failures, the last that was one; of models that were not asked, the one to come back to first."""
    if before is None or error.asked:
        return error
    if isinstance(before, UpstreamError) and not before.asked:
        return min(before, error, key=lambda refusal: refusal.retry_after_s or 0.0)
    return before

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
from gateway.core.retry import Again, GiveUp, Next, RetryPolicy, after_failure
from gateway.flow.call import Trail
from gateway.flow.flight import Flight, Ground
from gateway.flow.tasks import shielded
from gateway.ports import Clock, Observer, Provider


class Dispatch:
    """Holds, asks, retries, falls back. `providers` maps a catalog provider's name to its adapter."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        ground: Ground,
        policy: RetryPolicy,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._providers = providers
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
        step: Again | Next | GiveUp = Next()
        for at, model in enumerate(plan.attempts):
            if trail.stepped_down and not (model.local or model.name in plan.stand_ins):
                continue
            fallbacks = len(plan.attempts) - at - 1
            tried = 0
            while True:
                tried += 1
                trail.attempts += 1
                try:
                    return await self._attempt(trail, model, _rung(plan, model))
                except (LimitExceeded, LedgerUnavailable) as error:
                    failure, step = failure or error, Next()
                    trail.stepped_down = trail.stepped_down or error.code or "budget"
                except UnsupportedParameter as error:
                    failure, step = failure or error, Next()
                except UpstreamError as error:
                    self._observer.tell(AttemptFailed(trail.call.id, model.name, model.provider, error.code or "error"))
                    failure = error
                    step = after_failure(self._policy, error, tried, fallbacks, random.random())  # noqa: S311  # jitter
                if not isinstance(step, Again):
                    break
                await asyncio.sleep(step.after_s)
            if isinstance(step, GiveUp):
                break
        raise failure or Unavailable("No model could be tried.")

    async def _attempt(self, trail: Trail, model: Model, rung: Rung) -> Flight:
        """One hold, one request. A second attempt may be billed as well, so each has a reservation of its own."""
        call = trail.call
        payer = call.service.unmetered if model.local else call.service.payer
        share = min((budget.ladder.share(rung) for budget in payer.budgets), default=1.0)
        hold = await self._ground.ledger.hold(
            f"{call.id}.{trail.attempts}", payer, bid(call.chat, model, call.asked_at_s), share
        )
        trail.standings = hold.standings
        flight = Flight(self._ground, trail, model, hold)
        each_choice = hold.output_tokens // choices_of(call.chat) if payer.is_limited else None
        try:
            await flight.take_off(self._providers[model.provider], each_choice)
        except BaseException:
            await shielded(flight.land())
            raise
        return flight


def _rung(plan: Plan, model: Model) -> Rung:
    if not plan.stand_ins:
        return "wall"
    return "cheaper" if model.name in plan.stand_ins else "wanted"

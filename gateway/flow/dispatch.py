"""Tries the plan's models until one has begun to answer. After the first chunk nothing is tried again.

Where the plan has the answer reviewed, it is taken whole before any of it is given. One that does not pass is charged,
and a model of a higher tier is asked once in its place: two answers are the most that a request pays for. If nobody up
there can be asked (no model, no budget, a failure), the first answer is given after all, and it says so.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gateway.core.bid import bid
from gateway.core.chunks import Completion
from gateway.core.errors import (
    LedgerUnavailable,
    LimitExceeded,
    OutOfTime,
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
from gateway.core.review import Finding, Reviewed, review
from gateway.flow.call import Trail
from gateway.flow.candidates import candidates
from gateway.flow.flight import Flight, Ground, out_of_time
from gateway.flow.hedge import Hedge
from gateway.flow.hosts import Hosts
from gateway.flow.tasks import shielded
from gateway.ports import Clock, Observer

if TYPE_CHECKING:
    from gateway.core.answer_head import AnswerHead


class Dispatch:
    """Holds, asks, retries, falls back. `hosts` are by the catalog provider's name; `head` is asked about worked sums
    where a service wants that; without `hedge` a slow start is waited for."""

    def __init__(
        self,
        hosts: Mapping[str, Hosts],
        ground: Ground,
        policy: RetryPolicy,
        observer: Observer,
        clock: Clock,
        head: AnswerHead | None = None,
        hedge: Hedge | None = None,
    ) -> None:
        self._hosts = hosts
        self._ground = ground
        self._policy = policy
        self._observer = observer
        self._clock = clock
        self._head = head
        self._hedge = hedge

    async def open(self, trail: Trail, plan: Plan) -> Flight:
        """A flight that has taken off. Whoever opens it lands it."""
        if trail.call.options.timeout_s is not None:
            self._set_deadline(trail, trail.call.options.timeout_s)
        flight = await self._launch(trail, plan)
        if plan.reviewed:
            flight = await self._reviewed(trail, plan, flight)
        trail.model = flight.model
        trail.dropped = flight.dropped
        trail.first_chunk_s = self._clock.monotonic_s() - trail.call.started_s
        return flight

    async def answer(self, trail: Trail, model: Model) -> Completion:
        """The whole answer of this model and no other, charged to the trail; for who checks another's."""
        only = Plan((model,), f"model:{model.name}", model.tier, pinned=True, reasons=("shadow",))
        flight = await self.open(trail, only)
        try:
            return await flight.completion()
        finally:
            await shielded(flight.land())

    def _set_deadline(self, trail: Trail, allowed_s: float) -> None:
        """The client's own, which holds for everything: attempts, waits between them, and the last chunk."""
        passed_s = self._clock.monotonic_s() - trail.call.started_s
        trail.ends_at_s = asyncio.get_running_loop().time() + allowed_s - passed_s

    async def _launch(self, trail: Trail, plan: Plan) -> Flight:
        """Once a budget has refused an attempt, only stand-ins and local models are asked: nobody else costs less."""
        failure: ThriftgateError | None = None
        models = plan.attempts
        if len(models) > 1:
            models, reasons = candidates(plan, self._hosts)
            trail.passed_over += reasons
        for at, model in enumerate(models):
            if trail.stepped_down and not (model.local or model.name in plan.stand_ins):
                continue
            try:
                return await self._reach_soon(trail, plan, models[at:])
            except (LimitExceeded, LedgerUnavailable, UnsupportedParameter) as error:
                failure = failure or error
            except UpstreamError as error:
                failure = _to_tell(failure, error)
                if not error.asked:
                    trail.passed_over.append(f"{model.name} passed over ({error.code})")
                if not error.try_next:
                    break
        raise failure or Unavailable("No model could be tried.")

    def _reach_soon(self, trail: Trail, plan: Plan, models: Sequence[Model]) -> Awaitable[Flight]:
        """The first of these models; or, where a stream of it is slow to begin, one that is asked beside it."""
        if self._hedge is None or not trail.call.chat.stream or plan.reviewed:
            return self._reach(trail, plan, models[0], _rung(plan, models[0]), len(models) - 1)
        return self._hedged(self._hedge, trail, plan, models)

    async def _hedged(self, hedge: Hedge, trail: Trail, plan: Plan, models: Sequence[Model]) -> Flight:
        model = models[0]
        reach = partial(self._reach, trail, plan, model, _rung(plan, model), len(models) - 1)
        wait_s, other = hedge.wait_s(self._hosts[model.provider], model), self._beside(trail, models)
        if wait_s is None or other is None:
            return await reach()
        return await hedge.fly(wait_s, reach, partial(self._reach_beside, trail, plan, other))

    def _beside(self, trail: Trail, models: Sequence[Model]) -> Model | None:
        """The same model if another host could be asked for it, else the next one of its tier."""
        model, *others = models
        if self._hosts[model.provider].unasked(model, trail.asked) > 1:
            return model
        return next((other for other in others if other.tier is model.tier), None)

    async def _reach_beside(self, trail: Trail, plan: Plan, model: Model) -> Flight:
        """A second reservation that is refused is no step down: the first one stands."""
        before = trail.stepped_down
        try:
            return await self._reach(trail, plan, model, _rung(plan, model), fallbacks=0)
        except (LimitExceeded, LedgerUnavailable):
            trail.stepped_down = before
            raise

    async def _reviewed(self, trail: Trail, plan: Plan, flight: Flight) -> Flight:
        """The flight whose answer is to be given: this one's, or a better one's."""
        found = self._review(trail, flight)
        if found is None:
            trail.review = Reviewed("passed")
            return flight
        await shielded(flight.land())  # closed and charged before more is spent
        better = await self._escalate(trail, plan, flight.model)
        if better is None:
            trail.review = Reviewed("failed", found.check)
            return flight
        again = self._review(trail, better)
        trail.review = Reviewed("escalated", found.check) if again is None else Reviewed("failed", again.check)
        return better

    def _review(self, trail: Trail, flight: Flight) -> Finding | None:
        call = trail.call
        found = review(call.chat, flight.so_far(), call.service.review, self._head)
        if found is not None:
            trail.passed_over.append(f"{flight.model.name} did not pass review ({found.check})")
        return found

    async def _escalate(self, trail: Trail, plan: Plan, below: Model) -> Flight | None:
        """The answer of a model above that one, of the next tier if it has one. Nobody above is asked for a budget that
        has reached its rung `cheaper`, and what it refuses is no step down: there is an answer already."""
        if trail.stepped_down:
            return None
        above = sorted((model for model in plan.attempts if model.tier.rank > below.tier.rank), key=_rank)
        for at, model in enumerate(above):
            try:
                return await self._reach(trail, plan, model, "wanted", fallbacks=len(above) - at - 1)
            except (LimitExceeded, LedgerUnavailable, UnsupportedParameter, UpstreamError):
                continue
            except OutOfTime:
                return None
            finally:
                trail.stepped_down = ""
        return None

    async def _reach(self, trail: Trail, plan: Plan, model: Model, rung: Rung, fallbacks: int) -> Flight:
        """One model, at one of its hosts after the other, and again. Raises the last failure that was one."""
        hosts = self._hosts[model.provider]
        failure: UpstreamError | None = None
        tried = 0
        while True:
            try:
                hosts.choose(model, trail.asked)
                tried += 1
                trail.attempts += 1
                return await self._attempt(trail, model, rung, whole=plan.reviewed)
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
        """Nobody waits for a host that could not be asked afterwards, or longer than the client does."""
        hosts = self._hosts[model.provider]
        others = hosts.unasked(model, trail.asked)
        step = after_failure(self._policy, failure, tried, fallbacks, others, random.random())  # noqa: S311  # jitter
        if isinstance(step, Again) and hosts.wait_s(model, trail.asked) > step.after_s:
            return Leave()
        if isinstance(step, Again) and step.after_s >= _left_s(trail):
            return Leave()
        return step

    async def _attempt(self, trail: Trail, model: Model, rung: Rung, *, whole: bool) -> Flight:
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
            taking_off = flight.take_off(self._hosts[model.provider], each_choice, whole=whole)
            await (taking_off if trail.ends_at_s is None else _until(trail.ends_at_s, taking_off))
        except BaseException as error:
            await shielded(flight.land())
            if isinstance(error, TimeoutError):  # not a provider's deadline: those are UpstreamErrors
                raise out_of_time(call.options) from error
            raise
        return flight


async def _until(at_s: float, work: Awaitable[None]) -> None:
    """Raises TimeoutError. A function of its own, because even a timeout that never comes takes microseconds."""
    async with asyncio.timeout_at(at_s):
        await work


def _left_s(trail: Trail) -> float:
    """Of the client's own time."""
    return math.inf if trail.ends_at_s is None else trail.ends_at_s - asyncio.get_running_loop().time()


def _rung(plan: Plan, model: Model) -> Rung:
    if not plan.stand_ins:
        return "wall"
    return "cheaper" if model.name in plan.stand_ins else "wanted"


def _rank(model: Model) -> int:
    return model.tier.rank


def _to_tell(before: ThriftgateError | None, error: UpstreamError) -> ThriftgateError:
    """Of two failures, the last that was one; of models that were not asked, the one to come back to first."""
    if before is None or error.asked:
        return error
    if isinstance(before, UpstreamError) and not before.asked:
        return min(before, error, key=lambda refusal: refusal.retry_after_s or 0.0)
    return before

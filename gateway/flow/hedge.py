"""A second request for an answer that is slow to begin; the first of the two to begin is given.

Theory of operation. Now and then a host is silent for no reason that anybody could have known, and the next one would
have answered at once. So when a stream has not begun after `after` (seconds, or the time within which 95 of 100 streams
of that model have begun lately), another host of the model is asked too, or another model of its tier. Whoever begins
first answers. The other is cancelled and pays what it may have cost: its prompt, and what it had produced. Each has a
reservation of its own, so a budget must have room for both, or there is no second.

Hedges help while few are slow and make it worse when all are, so they have a budget (`core/retry_budget`): at most
a tenth of a minute's streams, or ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from gateway.core.plan import Model
from gateway.core.retry_budget import RetryBudget
from gateway.flow.flight import Flight
from gateway.flow.hosts import Hosts
from gateway.flow.tasks import shielded
from gateway.ports import Clock

After = float | Literal["p95"]
Launch = Callable[[], Awaitable[Flight]]


class Hedge:
    """One generation's."""

    def __init__(self, after: After, clock: Clock) -> None:
        self._after = after
        self._clock = clock
        self._budget = RetryBudget()

    def wait_s(self, hosts: Hosts, model: Model) -> float | None:
        """How long the model may take to begin; None where that is not known yet."""
        return hosts.begins_within_s(model, 0.95) if self._after == "p95" else self._after

    async def fly(self, wait_s: float, first: Launch, second: Launch) -> Flight:
        """The flight that has taken off first. Raises what `first` raises when none has."""
        self._budget.first(self._clock.monotonic_s())
        tasks = [asyncio.ensure_future(first())]
        winner: Flight | None = None
        try:
            await asyncio.wait(tasks, timeout=wait_s)
            now_s = self._clock.monotonic_s()
            if not tasks[0].done() and self._budget.allows(now_s):
                self._budget.repeat(now_s)
                tasks.append(asyncio.ensure_future(second()))
            winner = await _first_of(tasks)
            return winner
        finally:
            await shielded(_end(tasks, winner))


async def _first_of(tasks: Sequence[asyncio.Future[Flight]]) -> Flight:
    waiting = set(tasks)
    while waiting:
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is None:
                return task.result()
    return tasks[0].result()  # raises


async def _end(tasks: Sequence[asyncio.Future[Flight]], winner: Flight | None) -> None:
    """Whoever has not won lands, also one that took off in the meantime."""
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Flight) and ended is not winner:
            await ended.land()

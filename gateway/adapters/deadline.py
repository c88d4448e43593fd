"""The four deadlines of one attempt, each around a single await: none is held across a yield.

Deadlines are seconds long and there is a wait for each portion of bytes, so waits have no timers of their own: they are
in a list, through which one timer looks. `asyncio.timeout` for each cost more than to parse what came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gateway.core.deadlines import Deadlines
from gateway.core.errors import UpstreamTimeout

T = TypeVar("T")
_LOOK_S = 0.05


class DeadlineWatch:
    """Cancels what has waited too long, up to 50 ms late. Who does not wait when it looks is forgotten, and comes back
    with its next wait: so a stream is not taken out and put in again with each event. Its timer runs only while it
    watches somebody."""

    def __init__(self) -> None:
        self._clocks: list[AttemptClock] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one that first asks: to find it is a system call, 0.3 µs, and each attempt needs it thrice."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def add(self, clock: AttemptClock) -> None:
        clock.watched = True
        if not self._clocks:
            self.loop.call_later(_LOOK_S, self._look)
        self._clocks.append(clock)

    def _look(self) -> None:
        now_s = self.loop.time()
        clocks, self._clocks = self._clocks, []
        for clock in clocks:
            if clock.waiting is not None and clock.at_s <= now_s:
                clock.miss()
            clock.watched = clock.waiting is not None
            if clock.watched:
                self._clocks.append(clock)
        if self._clocks:
            self.loop.call_later(_LOOK_S, self._look)


class AttemptClock:
    """Counts from its creation, on the loop's monotonic clock.

    `first_token_s` runs until `token()` is called for the first time, then `between_tokens_s` from each call;
    `total_s` bounds everything. Whatever is not a token (a keep-alive, a head) stops no deadline.
    """

    __slots__ = (
        "_deadlines",
        "_loop",
        "_missed",
        "_streams",
        "_total_at_s",
        "_watch",
        "at_s",
        "connect_s",
        "waiting",
        "watched",
    )

    def __init__(self, watch: DeadlineWatch, deadlines: Deadlines, *, whole: bool) -> None:
        """`whole`: the answer comes in one piece, so that only `total_s` can be held against it."""
        self._watch = watch
        self._deadlines = deadlines
        self.connect_s = deadlines.connect_s
        self._loop = watch.loop
        self._streams = False
        self._missed = False
        self.waiting: asyncio.Task[object] | None = None
        """Who waits now."""
        self.watched = False
        started_s = self._loop.time()
        self._total_at_s = started_s + deadlines.total_s
        self.at_s = self._total_at_s if whole else min(started_s + deadlines.first_token_s, self._total_at_s)
        """When what is waited for must have come."""

    def token(self) -> None:
        """A token has been handed on: the wait for the next one begins now."""
        self._streams = True
        at_s = self._loop.time() + self._deadlines.between_tokens_s
        self.at_s = at_s if at_s < self._total_at_s else self._total_at_s

    async def wait_for(self, awaitable: Awaitable[T], *, reached: bool = True) -> T:
        """Raises UpstreamTimeout naming the deadline. `reached`: the provider may already have billed."""
        task = self.waiting = asyncio.current_task(self._loop)
        assert task is not None
        cancelling = task.cancelling()
        self._missed = False
        if not self.watched:
            self._watch.add(self)
        try:
            return await awaitable
        except asyncio.CancelledError as error:
            if self._missed and task.uncancel() <= cancelling:  # else somebody else has cancelled too
                raise self._timeout(reached) from error
            raise
        finally:
            self.waiting = None

    def miss(self) -> None:
        """The deadline is over: whoever waits is cancelled."""
        task, self.waiting = self.waiting, None
        self._missed = True
        if task is not None:
            task.cancel()

    def _timeout(self, reached: bool) -> UpstreamTimeout:
        if self.at_s == self._total_at_s:
            phase, limit_s = "total", self._deadlines.total_s
        elif self._streams:
            phase, limit_s = "between tokens", self._deadlines.between_tokens_s
        else:
            phase, limit_s = "first token", self._deadlines.first_token_s
        return UpstreamTimeout(f"The provider missed a deadline of {limit_s:g} s ({phase}).", reached=reached)

"""One request at one host, and what is learned from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType

from gateway.core.chunks import Chunk
from gateway.core.errors import UpstreamError
from gateway.core.events import BreakerClosed, BreakerOpened
from gateway.core.gate import says_ill, says_well
from gateway.core.plan import Model
from gateway.flow.fleet import Fleet, Host

Asked = dict[str, int]
"""How often one request has asked each host, by the host's id; 0 for whatever it has not asked."""
FAILED_S = 5.0
"""What a failure of the service weighs in a host's latency, at least: one that refuses at once is not a fast one."""


class Visit:
    """`with`: in flight from here to the end; an UpstreamError on the way is the host's. `slots` is how many requests
    the host answers at once, None if that is not known. It is counted in `asked`, and in the host's retry budget."""

    __slots__ = (
        "_asked",
        "_before",
        "_began_s",
        "_begun",
        "_clock",
        "_failed",
        "_fleet",
        "_host",
        "_lane",
        "_model",
        "_slots",
        "sent",
        "streams",
    )

    def __init__(self, fleet: Fleet, host: Host, model: Model, slots: int | None, asked: Asked) -> None:
        self._asked = asked
        self._fleet = fleet
        self._clock = fleet.clock
        self._host = host
        self._model = model
        self._lane = host.lanes[model.name]
        self._slots = slots
        self._before = host.in_flight
        self._began_s = 0.0
        self._failed = False
        self._begun = False
        self.streams = False
        self.sent = False
        """Whether the request has left, as far as anybody knows: until then it has taken nobody any time."""

    def __enter__(self) -> Visit:
        host, asked = self._host, self._asked
        now_s = self._began_s = self._clock.monotonic_s()
        if asked[host.id]:
            host.retries.repeat(now_s)
        else:
            host.retries.first(now_s)
        asked[host.id] += 1
        self._lane.gate.enter(now_s)
        host.in_flight += 1
        host.busy.enter(now_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            if isinstance(error, UpstreamError):
                self.failed(error)
            elif isinstance(error, asyncio.CancelledError):
                self.sent = True
        now_s = self._clock.monotonic_s()
        if self.sent and not self._begun and not self._failed:
            self._outlived(now_s)
        self._host.in_flight -= 1
        self._host.busy.leave(now_s)

    def came(self) -> None:
        """The first of a stream."""
        took_s = self._answered()
        if self.streams:
            self._lane.begins.add(took_s)

    def whole(self) -> None:
        """An answer in one piece."""
        self._answered()
        self.ended()

    def failed(self, error: UpstreamError) -> None:
        """Counts once, however often it is caught on its way up."""
        if self._failed:
            return
        self._failed = True
        now_s = self._clock.monotonic_s()
        if says_ill(error):
            self._lane.latency.observe(max(FAILED_S, now_s - self._began_s), now_s)
        if self._lane.gate.failed(error, now_s):
            code, open_s = error.code or error.type, self._fleet.rules.open_s
            self._tell(BreakerOpened(self._model.provider, self._model.name, self._host.name, code, open_s))
        elif says_well(error):
            self._is_well()

    def _outlived(self, now_s: float) -> None:
        """Nobody waits for it any longer, and it had not begun: it takes at least so long."""
        took_s = now_s - self._began_s
        if took_s > self._lane.latency.expected_s(now_s):
            self._lane.latency.observe(took_s, now_s)
            if self.streams:
                self._lane.begins.add(took_s)

    def _answered(self) -> float:
        self._begun = True
        now_s = self._clock.monotonic_s()
        took_s = now_s - self._began_s
        self._lane.latency.observe(took_s, now_s)
        self._is_well()
        return took_s

    def _is_well(self) -> None:
        if self._lane.gate.answered():
            self._tell(BreakerClosed(self._model.provider, self._model.name, self._host.name))

    def ended(self) -> None:
        """The answer is there to its last byte."""
        self._lane.gate.ended()
        if self._slots is not None:
            took_s = self._clock.monotonic_s() - self._began_s
            self._host.queue.answered(took_s, self._before, self._slots)

    def _tell(self, event: BreakerOpened | BreakerClosed) -> None:
        self._fleet.observer.tell(event)


class Heard:
    """The portions of a stream. One that breaks is a failure; one that its reader leaves is neither."""

    __slots__ = ("_begun", "_next", "_visit")

    def __init__(self, visit: Visit, portions: AsyncIterator[Sequence[Chunk]]) -> None:
        self._visit = visit
        self._next = portions.__anext__
        self._begun = False

    def __aiter__(self) -> Heard:
        return self

    async def __anext__(self) -> Sequence[Chunk]:
        try:
            portion = await self._next()
        except UpstreamError as error:
            self._visit.failed(error)
            raise
        except StopAsyncIteration:
            self._visit.ended()
            raise
        if not self._begun:
            self._begun = True
            self._visit.came()
        return portion

"""The hosts of a provider: which one to ask, whether one may be asked at all, and what its answers say of it.

Theory of operation. A host is one address with one key. What is known of it lives with the process (`Fleet`), so that a
reload forgets nothing; the adapter that speaks to it belongs to a generation. `Hosts` puts the two together, and
stands where a provider would: `chat` chooses a host at the last moment, when nothing is awaited any more before the
request leaves, and watches the answer. Nobody else asks a provider, so nothing is sent past a shut gate.

A host is chosen among those whose gate for the model is open: one that this request has not asked, and of these the
one with the least load. A host that it has asked is asked again only within the host's retry budget.

A refusal here is an UpstreamError with `asked` false. It costs no reservation: `check` says it before there is one.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.breaker import Breaker
from gateway.core.busy_time import BusyTime
from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk
from gateway.core.errors import UpstreamError, UpstreamOverloaded
from gateway.core.events import BreakerClosed, BreakerOpened
from gateway.core.gate import Gate, says_ill, says_well
from gateway.core.peak_ewma import PeakEwma
from gateway.core.plan import Model
from gateway.core.recent_times import RecentTimes
from gateway.core.retry_budget import RetryBudget
from gateway.core.slot_queue import SlotQueue
from gateway.ports import Answered, Clock, Observer, Provider, Upstream

Asked = Counter[str]
"""How often one request has asked each host, by the host's id."""
FAILED_S = 5.0
"""What a failure of the service weighs in a host's latency, at least: one that refuses at once is not a fast one."""


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """A breaker opens after so many `failures` in a row, for `open_s`."""

    failures: int = 5
    open_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Lane:
    """One model at one host. `begins` are the times to the first token of its streams."""

    gate: Gate
    latency: PeakEwma = field(default_factory=PeakEwma)
    begins: RecentTimes = field(default_factory=RecentTimes)


class Host:
    """What is known of one address and key. `name` is for an operator: no key."""

    def __init__(self, id: str, name: str, rules: BreakerRules) -> None:
        self.id = id
        self.name = name
        self.in_flight = 0
        self.retries = RetryBudget()
        self.queue = SlotQueue()
        self.busy = BusyTime()
        self._rules = rules
        self._lanes: dict[str, Lane] = {}

    def lane(self, model: Model) -> Lane:
        if model.name not in self._lanes:
            self._lanes[model.name] = Lane(Gate(Breaker(self._rules.failures, self._rules.open_s)))
        return self._lanes[model.name]


class Fleet:
    """Every host this process has known. A host that a reload takes away is remembered, in case it comes back."""

    def __init__(self, rules: BreakerRules, clock: Clock, observer: Observer) -> None:
        self.rules = rules
        self.clock = clock
        self.observer = observer
        self.began_s = clock.monotonic_s()
        self._hosts: dict[str, Host] = {}

    def host(self, id: str, name: str) -> Host:
        """The same for the same id, whichever generation asks."""
        return self._hosts.setdefault(id, Host(id, name, self.rules))


class Hosts:
    """One provider's, in one generation: each host, and the adapter that asks it. `slots` says how many requests each
    host answers at once, None if that is not known; `max_wait_s` how long one may wait for a slot."""

    def __init__(
        self,
        fleet: Fleet,
        hosts: Sequence[tuple[Host, Provider]],
        slots: Callable[[], int | None] = lambda: None,
        max_wait_s: float | None = None,
    ) -> None:
        self._fleet = fleet
        self._hosts = tuple(hosts)
        self._slots = slots
        self._max_wait_s = max_wait_s

    @property
    def waiting_for(self) -> str | None:
        """What all hosts are still starting, or None when one can answer."""
        waiting = [provider.waiting_for for _, provider in self._hosts]
        return waiting[0] if waiting and all(waiting) else None

    def too_long_s(self) -> float | None:
        """The wait that is to be expected for a slot, if that is longer than it may be."""
        slots = self._slots()
        if slots is None or self._max_wait_s is None or not self._hosts:
            return None
        wait_s = min(host.queue.wait_s(host.in_flight, slots) for host, _ in self._hosts)
        return wait_s if wait_s > self._max_wait_s else None

    def latency_s(self, model: Model) -> float:
        """How long the model takes to begin, at the host that is fastest; 0 where nothing is known of one."""
        now_s = self._fleet.clock.monotonic_s()
        return min((host.lane(model).latency.expected_s(now_s) for host, _ in self._hosts), default=0.0)

    def begins_within_s(self, model: Model, share: float) -> float | None:
        """Within what time that share of its streams has begun lately, where that is shortest; None: not known."""
        times_s = [host.lane(model).begins.quantile_s(share) for host, _ in self._hosts]
        return min((time_s for time_s in times_s if time_s is not None), default=None)

    def in_queue(self) -> int | None:
        """How many requests wait for a slot; None where nobody knows how many there are."""
        slots = self._slots()
        return None if slots is None else sum(max(0, host.in_flight - slots) for host, _ in self._hosts)

    def up_s(self) -> float:
        """Of all hosts together, since this process knows of any: all that it can say of how long they are paid."""
        return (self._fleet.clock.monotonic_s() - self._fleet.began_s) * len(self._hosts)

    def busy_s(self) -> float:
        """For how long each of the hosts had at least one request, together, since it is known."""
        now_s = self._fleet.clock.monotonic_s()
        return sum(host.busy.total_s(now_s) for host, _ in self._hosts)

    def unasked(self, model: Model, asked: Asked) -> int:
        """How many hosts this request could ask now and has not asked."""
        now_s = self._fleet.clock.monotonic_s()
        return sum(not asked[host.id] and host.lane(model).gate.refusal(now_s) is None for host, _ in self._hosts)

    def wait_s(self, model: Model, asked: Asked) -> float:
        """Seconds until this request could be sent for the model, 0 for now; infinite while nobody can say."""
        try:
            self._choose(model, asked)
        except UpstreamError as refusal:
            return math.inf if refusal.retry_after_s is None else refusal.retry_after_s
        return 0.0

    def check(self, model: Model, asked: Asked) -> None:
        """Raises UpstreamError (not `asked`) when nothing could be sent now. Claims nothing."""
        self._choose(model, asked)

    @asynccontextmanager
    async def chat(
        self,
        chat: ChatRequest,
        model: Model,
        max_output_tokens: int | None,
        *,
        strict: bool,
        asked: Asked,
    ) -> AsyncIterator[Upstream]:
        """As `ports.Provider.chat`, at the best host, which is then in `asked`."""
        host, provider = self._choose(model, asked)
        with self._visit(host, model, asked) as visit:
            visit.streams = chat.stream
            async with (
                provider.chat(chat, model, max_output_tokens, strict=strict) as upstream,
                aclosing(visit.heard(upstream.chunks)) as chunks,
            ):
                visit.sent = True
                yield replace(upstream, chunks=chunks)

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool, asked: Asked
    ) -> Answered:
        """As `ports.Provider.answer`, at the best host, which is then in `asked`."""
        host, provider = self._choose(model, asked)
        with self._visit(host, model, asked) as visit:
            answered = await provider.answer(chat, model, max_output_tokens, strict=strict)
            visit.whole()
            return answered

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        """As `ports.Provider.embed`, at the best host."""
        asked: Asked = Counter()
        host, provider = self._choose(model, asked)
        with self._visit(host, model, asked) as visit:
            answer = await provider.embed(body, model)
            visit.whole()
            return answer

    def _choose(self, model: Model, asked: Asked) -> tuple[Host, Provider]:
        now_s = self._fleet.clock.monotonic_s()
        if len(self._hosts) == 1:  # as most have, and then there is nothing to choose
            host, provider = self._hosts[0]
            if not asked[host.id] and host.lane(model).gate.refusal(now_s) is None:
                return host, provider
        refusals = [host.lane(model).gate.refusal(now_s) for host, _ in self._hosts]
        open_hosts = [row for row, refusal in zip(self._hosts, refusals, strict=True) if refusal is None]
        if not open_hosts:
            raise min(filter(None, refusals), key=lambda refusal: refusal.retry_after_s or 0.0)
        may_be_asked = [(host, to) for host, to in open_hosts if not asked[host.id] or host.retries.allows(now_s)]
        if not may_be_asked:
            raise UpstreamOverloaded("The provider fails too many requests to be asked again.", asked=False)
        return min(
            may_be_asked,
            key=lambda row: (asked[row[0].id], row[0].lane(model).latency.load(row[0].in_flight, now_s)),
        )

    @contextmanager
    def _visit(self, host: Host, model: Model, asked: Asked) -> Iterator[_Visit]:
        """In flight from here to the end; an UpstreamError on the way is the host's."""
        now_s = self._fleet.clock.monotonic_s()
        (host.retries.repeat if asked[host.id] else host.retries.first)(now_s)
        asked[host.id] += 1
        visit = _Visit(self._fleet, host, model, self._slots())
        host.lane(model).gate.enter(now_s)
        host.in_flight += 1
        host.busy.enter(now_s)
        try:
            yield visit
        except UpstreamError as error:
            visit.failed(error)
            raise
        except asyncio.CancelledError:
            visit.sent = True
            raise
        finally:
            visit.left()
            host.in_flight -= 1
            host.busy.leave(self._fleet.clock.monotonic_s())


class _Visit:
    """One request at one host, and what is learned from it."""

    def __init__(self, fleet: Fleet, host: Host, model: Model, slots: int | None) -> None:
        self._fleet = fleet
        self._host = host
        self._model = model
        self._lane = host.lane(model)
        self._began_s = fleet.clock.monotonic_s()
        self._before = host.in_flight
        self._slots = slots
        self._failed = False
        self._begun = False
        self.streams = False
        self.sent = False
        """Whether the request has left, as far as anybody knows: until then it has taken nobody any time."""

    async def heard(self, chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        """The same chunks. A stream that breaks is a failure; one that its reader leaves is neither."""
        first = True
        try:
            async for chunk in chunks:
                if first:
                    first = False
                    self._answered()
                    if self.streams:
                        self._lane.begins.add(self._fleet.clock.monotonic_s() - self._began_s)
                yield chunk
        except UpstreamError as error:
            self.failed(error)
            raise
        self._ended()

    def whole(self) -> None:
        """An answer in one piece."""
        self._answered()
        self._ended()

    def failed(self, error: UpstreamError) -> None:
        """Counts once, however often it is caught on its way up."""
        if self._failed:
            return
        self._failed = True
        now_s = self._fleet.clock.monotonic_s()
        if says_ill(error):
            self._lane.latency.observe(max(FAILED_S, now_s - self._began_s), now_s)
        if self._lane.gate.failed(error, now_s):
            code, open_s = error.code or error.type, self._fleet.rules.open_s
            self._tell(BreakerOpened(self._model.provider, self._model.name, self._host.name, code, open_s))
        elif says_well(error):
            self._is_well()

    def left(self) -> None:
        """Nobody waits for it any longer. If it had not begun by then, it takes at least so long."""
        now_s = self._fleet.clock.monotonic_s()
        took_s = now_s - self._began_s
        if self.sent and not (self._begun or self._failed) and took_s > self._lane.latency.expected_s(now_s):
            self._lane.latency.observe(took_s, now_s)
            if self.streams:
                self._lane.begins.add(took_s)

    def _answered(self) -> None:
        self._begun = True
        now_s = self._fleet.clock.monotonic_s()
        self._lane.latency.observe(now_s - self._began_s, now_s)
        self._is_well()

    def _is_well(self) -> None:
        if self._lane.gate.answered():
            self._tell(BreakerClosed(self._model.provider, self._model.name, self._host.name))

    def _ended(self) -> None:
        self._lane.gate.ended()
        if self._slots is not None:
            took_s = self._fleet.clock.monotonic_s() - self._began_s
            self._host.queue.answered(took_s, self._before, self._slots)

    def _tell(self, event: BreakerOpened | BreakerClosed) -> None:
        self._fleet.observer.tell(event)

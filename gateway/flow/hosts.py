"""The hosts of a provider: which one to ask, whether one may be asked at all, and what its answers say of it.

Theory of operation. A host is one address with one key. What is known of it lives with the process (`Fleet`), so that a
reload forgets nothing; the adapter that speaks to it belongs to a generation. `Hosts` puts the two together, and
stands where a provider would: `chat` chooses a host at the last moment, when nothing is awaited any more before the
request leaves, and watches the answer. Nobody else asks a provider, so nothing is sent past a shut gate.

A host is chosen among those whose gate for the model is open: one that this request has not asked, and of these the
one with the least load. A host that it has asked is asked again only within the host's retry budget.

A refusal here is an UpstreamError with `asked` false. It costs no reservation: `choose` says it before there is one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from gateway.core.chat import ChatRequest
from gateway.core.errors import UpstreamError, UpstreamOverloaded
from gateway.core.plan import Model
from gateway.flow.fleet import Fleet, Host
from gateway.flow.visit import Asked, Heard, Visit
from gateway.ports import Answered, Provider, Upstream


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
        self._only = self._hosts[0] if len(self._hosts) == 1 else None
        self._slots = slots
        self._max_wait_s = max_wait_s

    @property
    def waiting_for(self) -> str | None:
        """What all hosts are still starting, or None when one can answer."""
        waiting = [provider.waiting_for for _, provider in self._hosts]
        return waiting[0] if waiting and all(waiting) else None

    def too_long_s(self) -> float | None:
        """The wait that is to be expected for a slot, if that is longer than it may be."""
        slots = None if self._max_wait_s is None else self._slots()
        if slots is None or self._max_wait_s is None or not self._hosts:
            return None
        wait_s = min(host.queue.wait_s(host.in_flight, slots) for host, _ in self._hosts)
        return wait_s if wait_s > self._max_wait_s else None

    def latency_s(self, model: Model) -> float:
        """How long the model takes to begin, at the host that is fastest; 0 where nothing is known of one."""
        now_s = self._fleet.clock.monotonic_s()
        return min((host.lanes[model.name].latency.expected_s(now_s) for host, _ in self._hosts), default=0.0)

    def begins_within_s(self, model: Model, share: float) -> float | None:
        """Within what time that share of its streams has begun lately, where that is shortest; None: not known."""
        times_s = [host.lanes[model.name].begins.quantile_s(share) for host, _ in self._hosts]
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
        return sum(not asked[host.id] and host.lanes[model.name].gate.refusal(now_s) is None for host, _ in self._hosts)

    def wait_s(self, model: Model, asked: Asked) -> float:
        """Seconds until this request could be sent for the model, 0 for now; infinite while nobody can say."""
        try:
            self.choose(model, asked)
        except UpstreamError as refusal:
            return math.inf if refusal.retry_after_s is None else refusal.retry_after_s
        return 0.0

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
        host, provider = self.choose(model, asked)
        with Visit(self._fleet, host, model, self._slots(), asked) as visit:
            visit.streams = chat.stream
            async with provider.chat(chat, model, max_output_tokens, strict=strict) as upstream:
                visit.sent = True
                yield replace(upstream, portions=Heard(visit, upstream.portions))

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool, asked: Asked
    ) -> Answered:
        """As `ports.Provider.answer`, at the best host, which is then in `asked`."""
        host, provider = self.choose(model, asked)
        with Visit(self._fleet, host, model, self._slots(), asked) as visit:
            answered = await provider.answer(chat, model, max_output_tokens, strict=strict)
            visit.whole()
            return answered

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        """As `ports.Provider.embed`, at the best host."""
        asked: Asked = defaultdict(int)
        host, provider = self.choose(model, asked)
        with Visit(self._fleet, host, model, self._slots(), asked) as visit:
            answer = await provider.embed(body, model)
            visit.whole()
            return answer

    def choose(self, model: Model, asked: Asked) -> tuple[Host, Provider]:
        """Who would be asked now. Raises UpstreamError (not `asked`) when nobody could be. Claims nothing."""
        only = self._only
        if only is not None and not asked[only[0].id] and only[0].lanes[model.name].gate.is_clear:
            return only  # as most have: there is nothing to choose
        now_s = self._fleet.clock.monotonic_s()
        refusals = [host.lanes[model.name].gate.refusal(now_s) for host, _ in self._hosts]
        open_hosts = [row for row, refusal in zip(self._hosts, refusals, strict=True) if refusal is None]
        if not open_hosts:
            raise min(filter(None, refusals), key=lambda refusal: refusal.retry_after_s or 0.0)
        may_be_asked = [(host, to) for host, to in open_hosts if not asked[host.id] or host.retries.allows(now_s)]
        if not may_be_asked:
            raise UpstreamOverloaded("The provider fails too many requests to be asked again.", asked=False)
        return min(
            may_be_asked,
            key=lambda row: (asked[row[0].id], row[0].lanes[model.name].latency.load(row[0].in_flight, now_s)),
        )

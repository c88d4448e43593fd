"""A ledger that goes on while Redis is away, as far as the budgets allow it. The rules are told in `core/allotment.py`.

While Redis is there, requests go straight through; a task puts aside, behind them, an allotment for each service that
has asked under a `local` budget. An allotment is an ordinary hold of the ledger inside: it has an id of its own, its
lease is renewed with all others, and a gateway that is killed is charged for all of it when the lease ends.

What is put aside nobody else can spend, so it is given back as soon as a request of the same root account is refused,
and the request is asked about once more: a budget can be used up to its end. An allotment that was spent from, or
whose window is over, is replaced: the new one first, so that there always is one; then the old one is settled, when its
last request is, with what they have used together. Who has not asked in a whole window gets no new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from gateway.adapters.behind import Behind
from gateway.core.allotment import Allotment, away_of, lasting, least_of, portion, reserve_of, spare, unguarded
from gateway.core.budget import NOTHING, Amount, Bid, Payer
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import Drawn, PutAside, Unguarded
from gateway.core.ladder import Rung
from gateway.core.ledger_lines import ASIDE
from gateway.ports import Clock, Hold, Ledger, Observer, Standing

_ROUND_S = 1.0


@dataclass(slots=True)
class _Aside:
    """What is put aside for a payer. `hold` reserves it; `is_over`: it is settled as soon as nobody holds of it."""

    payer: Payer
    hold: Hold
    allotment: Allotment
    is_over: bool = False


class AllottedLedger:
    """Implements `ports.Ledger`. `part` is the share of each limit that is put aside.

    Start it after the ledger inside, which it does not own, and stop it before.
    """

    def __init__(self, inner: Ledger, clock: Clock, observer: Observer, *, part: float) -> None:
        self._inner = inner
        self._clock = clock
        self._observer = observer
        self._part = part
        self._wanted: dict[str, Payer] = {}
        self._asides: dict[str, _Aside] = {}
        self._spending: dict[str, tuple[_Aside, Hold]] = {}
        self._unguarded: set[str] = set()
        self._behind = Behind(self.put_aside, pause_s=_ROUND_S)
        self._ending = False

    def start(self) -> None:
        self._behind.start()

    async def stop(self) -> None:
        """Give everything back. What requests still hold of it is charged in full, when its lease ends."""
        self._ending = True
        await self._behind.stop()

    async def hold(self, id: str, payer: Payer, bid: Bid, rung: Rung = "wall") -> Hold:
        if not payer.is_limited:  # nobody has to be asked about it
            return await self._inner.hold(id, payer, bid, rung)
        away = away_of(payer)
        if away == "local":
            if id in self._spending:
                return self._spending[id][1]
            self._wanted[payer.name] = lasting(payer)
            self._behind.wake()
        try:
            return await self._ask(id, payer, bid, rung)
        except LedgerUnavailable as error:
            if away == "closed":
                raise
            if away == "open":
                hold = await self._inner.hold(id, unguarded(payer), bid, rung)
                self._unguarded.add(id)
                return hold
            return self._from_aside(id, payer, bid, rung, error)

    async def settle(self, hold: Hold, actual: Amount) -> None:
        if hold.id in self._spending:
            aside, _ = self._spending.pop(hold.id)
            aside.allotment.settle(hold.id, actual)
            self._observer.tell(Drawn(hold.id, aside.hold.id, hold.account, actual.tokens, actual.nano_usd))
            if aside.is_over:
                await self._settle(aside)
            return
        if hold.id in self._unguarded:
            self._unguarded.remove(hold.id)
            self._observer.tell(Unguarded(hold.account, actual.tokens, actual.nano_usd))
        await self._inner.settle(hold, actual)

    async def standing(self, payer: Payer) -> tuple[Standing, ...]:
        return await self._inner.standing(payer)

    async def put_aside(self) -> bool:
        """One round of the task. True when there is nothing to come back for."""
        if self._ending:
            await self._give_back(list(self._asides))
            return True
        sharers = self._sharers()
        for service in {**self._asides, **self._wanted}:
            # What there is serves on; the others may be on another node.
            with suppress(LedgerUnavailable):
                await self._keep(service, sharers)
        return not (self._asides or self._wanted)

    async def _ask(self, id: str, payer: Payer, bid: Bid, rung: Rung) -> Hold:
        try:
            return await self._inner.hold(id, payer, bid, rung)
        except BudgetExceeded:
            here = [service for service, aside in self._asides.items() if aside.hold.tag == payer.tag]
            if not here:
                raise
            await self._give_back(here)
            return await self._inner.hold(_again(id), payer, bid, rung)

    def _from_aside(self, id: str, payer: Payer, bid: Bid, rung: Rung, error: LedgerUnavailable) -> Hold:
        aside = self._asides.get(payer.name)
        if aside is None or aside.payer != lasting(payer):
            raise error
        share = min(budget.ladder.share(rung) for budget in aside.payer.budgets)
        output_tokens = aside.allotment.hold(id, bid, share, self._clock.monotonic_s())
        if output_tokens is None:
            message = f"{error.message} What was put aside of it for such a time does not cover this request."
            raise LedgerUnavailable(message, retry_after_s=error.retry_after_s) from error
        at, amount = aside.hold, aside.allotment.held[id]
        hold = Hold(id, payer.name, payer.tag, amount, output_tokens, at.at_s, at.budgets, at.meters)
        self._spending[id] = aside, hold
        return hold

    def _sharers(self) -> Mapping[str, int]:
        payers = {service: aside.payer for service, aside in self._asides.items()} | self._wanted
        return Counter(account for payer in payers.values() for account in {each.account for each in payer.budgets})

    async def _keep(self, service: str, sharers: Mapping[str, int]) -> None:
        aside, payer = self._asides.get(service), self._wanted.get(service)
        if aside is not None and self._clock.monotonic_s() < aside.allotment.until_s:
            payer = payer or aside.payer
            fits = portion(payer, self._part, sharers).excess(aside.hold.amount) == NOTHING
            if fits and payer == aside.payer and aside.allotment.used == NOTHING:
                return
        fresh = await self._reserve(payer, sharers) if payer else None
        self._wanted.pop(service, None)
        old = self._asides.pop(service, None)
        if fresh is not None:
            self._asides[service] = fresh
        self._tell(service)
        if old is not None:
            await self._settle(old)

    async def _reserve(self, payer: Payer, sharers: Mapping[str, int]) -> _Aside | None:
        """None when nothing is left. Raises LedgerUnavailable."""
        used = [standing.used for standing in await self._inner.standing(payer)]
        left = spare(payer.budgets, used, self._clock.unix_s())
        most = least_of((portion(payer, self._part, sharers), left))
        reserve = reserve_of(most)
        if reserve is None:
            return None
        # Before it is made, so that travel time makes it end too early and never too late.
        asked_s = self._clock.monotonic_s()
        try:
            hold = await self._inner.hold(f"{ASIDE}{uuid4().hex}", payer, Bid(reserve))
        except BudgetExceeded:
            return None
        ends_s = min(budget.window(hold.at_s).end_s for budget in payer.budgets if budget.hard)
        return _Aside(payer, hold, Allotment(most, asked_s + ends_s - hold.at_s))

    async def _give_back(self, services: list[str]) -> None:
        """All of it is out of reach at once; then Redis is told."""
        over = [self._asides.pop(service) for service in services]
        for service in services:
            self._tell(service)
        for aside in over:
            await self._settle(aside)

    async def _settle(self, aside: _Aside) -> None:
        """Now, or with the last request that holds of it."""
        aside.is_over = True
        if not aside.allotment.held:
            await self._inner.settle(aside.hold, aside.allotment.spent)

    def _tell(self, service: str) -> None:
        aside = self._asides.get(service)
        kept = aside.hold.amount if aside else NOTHING
        self._observer.tell(PutAside(service, kept.tokens, kept.nano_usd))


def _again(id: str) -> str:
    """A refused id is done with in the ledger file. With the zero it still is that attempt's, by `billed_by`."""
    request_id, _, attempt = id.partition(".")
    return f"{request_id}.0{attempt}"

"""A ledger that need not ask Redis about each request, and goes on while Redis is away, as far as the budgets allow it.

Who asks often holds of what this gateway has leased (`adapters/asides`), and Redis hears of it behind. Where the lease
does not cover a request, or there is none, Redis is asked. What is leased or put aside nobody else can spend, so what
nobody holds of it is given back as soon as a request of the same root account is refused, and the request is asked
about once more: a budget can be used up to its end.

While Redis is away, each budget does what its `when_unavailable` says (`core/allotment.py`).
"""

from __future__ import annotations

from dataclasses import replace

from gateway.adapters.asides import Aside, Asides
from gateway.core.allotment import away_of, unguarded
from gateway.core.budget import Amount, Bid, Payer
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import Unguarded
from gateway.core.ladder import Rung
from gateway.ports import Hold, Ledger, Observer, Standing


class AllottedLedger:
    """Implements `ports.Ledger`. `asides` are of the same ledger inside, and are started and stopped by their owner."""

    def __init__(self, inner: Ledger, asides: Asides, observer: Observer) -> None:
        self._inner = inner
        self._asides = asides
        self._observer = observer
        self._unguarded: set[str] = set()

    async def hold(self, id: str, payer: Payer, bid: Bid, rung: Rung = "wall") -> Hold:
        if not payer.is_limited:  # nobody has to be asked about it
            return await self._inner.hold(id, payer, bid, rung)
        drawn = self._asides.spending(id) or self._asides.draw(id, payer, bid)
        if drawn is not None:
            return drawn
        away = away_of(payer)
        self._asides.asked(payer, is_local=away == "local")
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
        if self._asides.spending(hold.id) is not None:
            await self._asides.settle(hold.id, actual)
            return
        if hold.id in self._unguarded:
            self._unguarded.remove(hold.id)
            self._observer.tell(Unguarded(hold.account, actual.tokens, actual.nano_usd))
        await self._inner.settle(hold, actual)

    async def standing(self, payer: Payer) -> tuple[Standing, ...]:
        """What is put aside here and not used counts as room: who is refused for want of it gets it. Only what was kept
        all the while is surely in what the ledger inside says."""
        before = self._asides.kept(payer.tag)
        standings = await self._inner.standing(payer)
        kept = [aside for aside in self._asides.kept(payer.tag) if aside in before]
        return tuple([_without(standing, kept) for standing in standings]) if kept else standings

    async def _ask(self, id: str, payer: Payer, bid: Bid, rung: Rung) -> Hold:
        seen = self._asides.given_back
        try:
            return await self._inner.hold(id, payer, bid, rung)
        except BudgetExceeded:
            if not await self._asides.give_back(payer.tag, seen):
                raise
            return await self._inner.hold(_again(id), payer, bid, rung)

    def _from_aside(self, id: str, payer: Payer, bid: Bid, rung: Rung, error: LedgerUnavailable) -> Hold:
        hold = self._asides.draw_while_away(id, payer, bid, rung)
        if hold is None:
            message = f"{error.message} What was put aside of it for such a time does not cover this request."
            raise LedgerUnavailable(message, retry_after_s=error.retry_after_s) from error
        return hold


def _without(standing: Standing, kept: list[Aside]) -> Standing:
    """Not counting what is put aside of this budget in this window and not used."""
    used = standing.used
    for aside in kept:
        if any(
            each.budget == standing.budget and each.window_end_s == standing.window_end_s
            for each in aside.hold.standings
        ):
            used = used.beyond(aside.rest)
    return replace(standing, used=used)


def _again(id: str) -> str:
    """A refused id is done with in the ledger file. With the zero it still is that attempt's, by `billed_by`."""
    request_id, _, attempt = id.partition(".")
    return f"{request_id}.0{attempt}"

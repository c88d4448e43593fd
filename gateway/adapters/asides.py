"""What this gateway has put aside and leased of its services' budgets. The rules are told in `core/allotment.py`.

A task puts aside, behind requests, an allotment for each service that has asked under a `local` budget, and leases one
to each that asks often. It is an ordinary hold of the ledger inside: it has an id of its own, its lease is renewed with
all others, and when its gateway is killed it is charged with what was drawn from it (`adapters/journaled_ledger`), or,
where no lines are written, with all of it when its lease ends.

An allotment that was spent from, or whose window is over, is exchanged: the new one first, so that there always is one.
What attempts in the air hold of the old one they hold of the new one from then on, if it is of the same windows, and
the old one is settled with what was spent; else it is settled with the last of its attempts. Who has not asked in a
round is leased nothing, and who has not asked in a whole window gets nothing put aside.

When the task finds Redis away, leases end, and each budget does what its `when_unavailable` says.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol
from uuid import uuid4

from gateway.adapters.behind import Behind
from gateway.core.allotment import (
    LEASED_PART,
    NO_ROOM,
    Allotment,
    Portions,
    has_rate,
    lasting,
    lease,
    least_of,
    portion,
    spare,
    usable,
)
from gateway.core.budget import NOTHING, Amount, Bid, Payer
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import PutAside
from gateway.core.ladder import Rung
from gateway.core.ledger_lines import ASIDE, Draw
from gateway.ports import Clock, Hold, Ledger, Observer, Standing

_ROUND_S = 1.0
_SOON_S = 0.02
"""So soon a lease is made, or exchanged when it is half used."""
_OFTEN = 8
"""Asks in a round, from which on it is cheaper to lease: that takes three calls of Redis, and a request two."""


class DrawLines(Protocol):
    """Where it is written down what is drawn."""

    def draw(self, draw: Draw, /) -> bool:
        """Before it is. False: it may be forgotten if this process dies."""

    def drawn(self, drawn: Draw, /) -> None:
        """So much was, of what the hold's last `draw` said."""


@dataclass(slots=True, eq=False)
class Aside:
    """What is put aside for a payer; `hold` reserves it. `is_over`: it is settled as soon as nobody holds of it."""

    payer: Payer
    hold: Hold
    portions: Portions
    allotment: Allotment
    is_over: bool = False

    @property
    def rest(self) -> Amount:
        """What nobody holds of it."""
        return self.hold.amount.beyond(self.allotment.used)

    @property
    def serves(self) -> bool:
        """Whether there is anything in it beyond what attempts hold."""
        return self.portions.aside != NO_ROOM or self.portions.leased != NO_ROOM

    def end_lease(self) -> None:
        self.portions = replace(self.portions, leased=NO_ROOM)
        self.allotment.leased = NO_ROOM

    def standings(self) -> tuple[Standing, ...]:
        """As the ledger said last, but with what is used of it in place of all of it."""
        own, used = self.hold.amount, self.allotment.used
        tokens, nano_usd = used.tokens - own.tokens, used.nano_usd - own.nano_usd
        return tuple(
            [
                Standing(
                    each.budget, each.window_end_s, Amount(each.used.tokens + tokens, each.used.nano_usd + nano_usd)
                )
                for each in self.hold.standings
            ]
        )


@dataclass(slots=True)
class _Asker:
    """A service under budgets: how often it has asked in all, and had at the last round and when its aside was made."""

    payer: Payer
    is_local: bool
    aside: Aside | None = None
    asked: int = 0
    at_round: int = 0
    at_aside: int = 0

    @property
    def asks_often(self) -> bool:
        """To keep a lease it is enough to ask at all."""
        has_lease = self.aside is not None and self.aside.portions.leased != NO_ROOM
        return self.asked - self.at_round >= (1 if has_lease else _OFTEN) and not has_rate(self.payer)


class _Sharers(NamedTuple):
    """How many askers share each account: of those for whom something is put aside, and of all."""

    local: Mapping[str, int]
    all: Mapping[str, int]


@dataclass(slots=True)
class _Spending:
    """An attempt that holds of an aside, which may be exchanged meanwhile."""

    hold: Hold
    aside: Aside


class Asides:
    """`part` is the share of each limit that is put aside; `workers` divide it, and what is leased. Start it after the
    ledger inside, which it does not own, and stop it before. Without `lines` nothing is written down."""

    def __init__(
        self, inner: Ledger, lines: DrawLines | None, clock: Clock, observer: Observer, *, part: float, workers: int
    ) -> None:
        self._inner = inner
        self._lines = lines
        self._clock = clock
        self._observer = observer
        self._part = part / workers
        self._leased_part = LEASED_PART / workers
        self._askers: dict[str, _Asker] = {}
        self._spending: dict[str, _Spending] = {}
        self._turn = asyncio.Lock()
        self._rounds = Behind(self.put_aside, pause_s=_ROUND_S)
        self._low: set[str] = set()
        self._soon = Behind(self.exchange_low, pause_s=_SOON_S)
        self._ending = False
        self.given_back = 0
        """How often something was."""

    def start(self) -> None:
        self._rounds.start()
        self._soon.start()

    async def stop(self) -> None:
        """Give everything back. What requests still hold of it is charged in full, when its lease ends."""
        self._ending = True
        await self._soon.stop()
        await self._rounds.stop()

    def spending(self, id: str) -> Hold | None:
        """What the attempt holds of an aside."""
        spending = self._spending.get(id)
        return None if spending is None else spending.hold

    def asked(self, payer: Payer, *, is_local: bool) -> None:
        """The ledger is asked for the payer."""
        asker = self._askers.get(payer.name)
        if asker is None:
            asker = self._askers[payer.name] = _Asker(payer, is_local)
        asker.payer, asker.is_local = payer, is_local
        asker.asked += 1
        if asker.asked - asker.at_round == _OFTEN:
            self._exchange_soon(payer.name)
        self._rounds.wake()

    def draw(self, id: str, payer: Payer, bid: Bid) -> Hold | None:
        """From what is leased, if that covers all of the bid."""
        asker = self._askers.get(payer.name)
        aside = None if asker is None else asker.aside
        if asker is None or aside is None or aside.payer != payer:
            return None
        allotment = aside.allotment
        amount = allotment.lease(id, bid, self._clock.monotonic_s())
        if amount is None:
            return None
        asker.asked += 1
        if allotment.is_low:
            self._exchange_soon(payer.name)
        return self._drawn(id, aside, amount, bid.most_output_tokens)

    def draw_while_away(self, id: str, payer: Payer, bid: Bid, rung: Rung) -> Hold | None:
        """From all that is put aside, as much of the bid as fits."""
        asker = self._askers.get(payer.name)
        aside = None if asker is None else asker.aside
        if aside is None or aside.portions.aside == NO_ROOM or aside.payer != lasting(payer):
            return None
        share = min(budget.ladder.share(rung) for budget in aside.payer.budgets)
        output_tokens = aside.allotment.hold(id, bid, share, self._clock.monotonic_s())
        if output_tokens is None:
            return None
        return self._drawn(id, aside, aside.allotment.held[id], output_tokens)

    async def settle(self, id: str, actual: Amount) -> None:
        """What the attempt that holds of an aside has used."""
        aside = self._used(id, self._spending.pop(id).aside, actual)
        if aside.is_over:
            await self._settle(aside)

    async def give_back(self, tag: str, seen: int) -> bool:
        """What nobody holds of what is put aside under the tag. Whether anything was given back since it had been so
        often."""
        async with self._turn:
            here = [asker for asker in self._askers.values() if asker.aside and asker.aside.hold.tag == tag]
            for asker in here:
                if asker.aside is not None and asker.aside.rest != NOTHING:
                    asker.aside.end_lease()
                    await self._exchange(asker, await self._bare(asker.aside))
                    self.given_back += 1
        return self.given_back != seen

    def kept(self, tag: str) -> list[Aside]:
        """What is put aside under it now."""
        asides = [asker.aside for asker in self._askers.values()]
        return [aside for aside in asides if aside is not None and aside.hold.tag == tag]

    async def put_aside(self) -> bool:
        """A round of the task. True when there is nothing to come back for."""
        async with self._turn:
            if self._ending:
                for asker in self._askers.values():
                    await self._exchange(asker, None)
                return True
            sharers = self._sharers()
            for name, asker in list(self._askers.items()):
                leases, asker.at_round = asker.asks_often, asker.asked
                await self._try_to_keep(asker, sharers, leases=leases)
                if asker.aside is None and asker.asked == asker.at_aside:
                    del self._askers[name]
        return not self._askers

    async def exchange_low(self) -> bool:
        """Between rounds, for those that use much. Always done."""
        async with self._turn:
            low, self._low = self._low, set()
            askers = [] if self._ending else [self._askers[name] for name in low if name in self._askers]
            sharers = self._sharers()
            for asker in askers:
                if asker.asks_often:
                    await self._try_to_keep(asker, sharers, leases=True)
        return True

    def _exchange_soon(self, name: str) -> None:
        if name not in self._low:
            self._low.add(name)
            self._soon.wake()

    def _drawn(self, id: str, aside: Aside, amount: Amount, output_tokens: int) -> Hold | None:
        at = aside.hold
        if self._lines is not None and not self._lines.draw(Draw(id, at.id, at.account, amount)):
            self._used(id, aside, NOTHING)
            return None
        hold = Hold(id, at.account, at.tag, amount, output_tokens, at.at_s, at.budgets, at.meters, aside.standings())
        self._spending[id] = _Spending(hold, aside)
        return hold

    def _used(self, id: str, aside: Aside, actual: Amount) -> Aside:
        aside.allotment.settle(id, actual)
        if self._lines is not None:
            self._lines.drawn(Draw(id, aside.hold.id, aside.hold.account, actual))
        return aside

    def _sharers(self) -> _Sharers:
        accounts = [(asker.is_local, {each.account for each in asker.payer.budgets}) for asker in self._askers.values()]
        return _Sharers(
            Counter(account for is_local, of_one in accounts if is_local for account in of_one),
            Counter(account for _, of_one in accounts for account in of_one),
        )

    async def _try_to_keep(self, asker: _Asker, sharers: _Sharers, *, leases: bool) -> None:
        """Where Redis is away, what there is serves on, for that case alone; the others may be on another node."""
        try:
            await self._keep(asker, sharers, leases)
        except LedgerUnavailable:
            if asker.aside is not None:
                asker.aside.end_lease()

    async def _keep(self, asker: _Asker, sharers: _Sharers, leases: bool) -> None:
        asked, aside, payer = asker.asked, asker.aside, lasting(asker.payer)
        is_in_time = aside is not None and self._clock.monotonic_s() < aside.allotment.until_s
        if aside is not None and is_in_time and self._stays(aside, payer, sharers, leases):
            return
        fresh = None
        if is_in_time or asked > asker.at_aside:
            fresh = await self._reserve(payer, await self._portions(asker, payer, sharers, leases))
        asker.at_aside = asked
        await self._exchange(asker, fresh)

    def _stays(self, aside: Aside, payer: Payer, sharers: _Sharers, leases: bool) -> bool:
        """Whether it is what would be made now."""
        if aside.payer != payer or (aside.portions.leased != NO_ROOM) != leases:
            return False
        if not aside.serves:
            return aside.rest == NOTHING
        fits = portion(payer, self._part, sharers.local).excess(aside.portions.put_aside) == NOTHING
        return fits and aside.allotment.spent == NOTHING and aside.allotment.used == aside.portions.carried

    async def _portions(self, asker: _Asker, payer: Payer, sharers: _Sharers, leases: bool) -> Portions:
        """Raises LedgerUnavailable."""
        meters = tuple([budget.meter(self._clock.unix_s()) for budget in payer.budgets])
        aside = asker.aside
        carried = aside.allotment.in_the_air if aside is not None and aside.hold.meters == meters else NOTHING
        if not (asker.is_local or leases) and carried == NOTHING:
            return Portions()
        used = [standing.used for standing in await self._inner.standing(payer)]
        at_s = self._clock.unix_s()
        left = spare(payer.budgets, used, at_s)
        put_aside = least_of((portion(payer, self._part, sharers.local), left)) if asker.is_local else NO_ROOM
        leased = lease(payer, used, at_s, self._leased_part, sharers.all) if leases else NO_ROOM
        return Portions(usable(put_aside), usable(leased), carried if left.excess(carried) == NOTHING else NOTHING)

    async def _bare(self, aside: Aside) -> Aside | None:
        """Only what attempts hold of it; None too where that cannot be had twice."""
        with suppress(LedgerUnavailable):
            return await self._reserve(aside.payer, Portions(carried=aside.allotment.in_the_air))
        return None

    async def _reserve(self, payer: Payer, portions: Portions) -> Aside | None:
        """None where it is nothing, or not left. Raises LedgerUnavailable."""
        if portions.amount == NOTHING:
            return None
        # Before it is made, so that travel time makes it end too early and never too late.
        asked_s = self._clock.monotonic_s()
        try:
            hold = await self._inner.hold(f"{ASIDE}{uuid4().hex}", payer, Bid(portions.amount))
        except BudgetExceeded:
            return None
        any_limit = portions.leased != NO_ROOM
        ends_s = min(budget.window(hold.at_s).end_s for budget in payer.budgets if budget.hard or any_limit)
        return Aside(payer, hold, portions, portions.allotment(asked_s + ends_s - hold.at_s))

    async def _exchange(self, asker: _Asker, fresh: Aside | None) -> None:
        """What there was is out of reach at once; then Redis is told."""
        old, asker.aside = asker.aside, fresh
        kept = fresh.hold.amount if fresh is not None and fresh.serves else NOTHING
        if fresh is not None or old is not None:
            self._observer.tell(PutAside(asker.payer.name, kept.tokens, kept.nano_usd))
        if old is None:
            return
        if fresh is not None and fresh.hold.meters == old.hold.meters:
            self._move(old, fresh)
        await self._settle(old)

    def _move(self, old: Aside, fresh: Aside) -> None:
        """What attempts in the air hold, if it fits. A line that is late does no harm: then the old one's stands."""
        held = dict(old.allotment.held)
        if fresh.allotment.take_over(old.allotment):
            for hold_id, amount in held.items():
                self._spending[hold_id].aside = fresh
                if self._lines is not None:
                    self._lines.draw(Draw(hold_id, fresh.hold.id, fresh.hold.account, amount))

    async def _settle(self, aside: Aside) -> None:
        """Now, or with the last request that holds of it."""
        aside.is_over = True
        if not aside.allotment.held:
            await self._inner.settle(aside.hold, aside.allotment.spent)

"""What a payer may spend without asking the ledger, while it cannot be reached and while it need not be.

Theory of operation. An *allotment* is a part of a payer's budgets that this gateway has reserved, as any request
reserves, and holds on to. So it is already counted as used, by everyone, and

    settled + reserved <= limit          stays true while several gateways spend on their own, each in its own memory

Requests hold from the allotment and settle into it; later the allotment itself is settled with the sum of what they
used. It is of the windows it was reserved in, so it ends with the first of them to end (in a sliding window, with its
bucket): what is spent later would be counted too early. It is small, because nobody else can have it, and has two parts
for two times, which all payers of a gateway that share a budget divide between them.

*While the ledger is away* the strictest of a payer's budgets decides. `closed` spends nothing. `open` spends without
asking; what it was is counted when the ledger is back, and may then be over the limit. `local` spends the whole
allotment, for which `part` of each limit is put aside, and never more than half of what is left.

*While it is there*, who asks often is *leased* a part, so that the ledger hears of many requests at once. That must not
show. So a lease is LEASED_PART of what is left below the lowest rung of every budget: whoever can hold of it all he
bids for would have been granted as much by the ledger, on any rung; whoever cannot asks the ledger, which alone decides
near a rung or a limit. What a lease leaves unspent is room that other gateways do not find: of each one LEASED_PART of
what was left, for as long as it is kept, which is a moment. A rate is never leased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.budget import NOTHING, Amount, Away, Bid, Budget, Limits, Payer, granted

LEASED_PART = 1 / 64
"""Of what is left. Small enough that nobody who holds of it is one of the last eight whom `granted` would cut short."""
NO_ROOM = Limits(0, 0)


def lasting(payer: Payer) -> Payer:
    """Without its rates: those are over before the ledger is back, and a part of a minute's would be no allotment."""
    if not has_rate(payer):
        return payer
    return replace(payer, budgets=tuple(budget for budget in payer.budgets if not budget.rate))


def has_rate(payer: Payer) -> bool:
    return any(budget.rate for budget in payer.budgets)


def away_of(payer: Payer) -> Away:
    """What holds for the payer while the ledger is away. A budget that refuses nothing forbids nothing."""
    policies = {each.away for each in payer.budgets if each.hard and each.is_limited and not each.rate}
    if "closed" in policies:
        return "closed"
    return "local" if "local" in policies else "open"


def unguarded(payer: Payer) -> Payer:
    """The same meters without their limits: what is spent is counted, whatever it is."""
    budgets = lasting(payer).budgets
    return replace(payer, budgets=tuple(Budget(each.account, each.rule, hard=False) for each in budgets))


def portion(payer: Payer, part: float, sharers: Mapping[str, int]) -> Limits:
    """The most that a gateway puts aside for the payer, where so many (or one) of its payers share an account."""
    parts = ((budget, part / sharers.get(budget.account, 1)) for budget in payer.budgets if budget.hard)
    return least_of(Limits(_times(budget.tokens, own), _times(budget.nano_usd, own)) for budget, own in parts)


def spare(budgets: Sequence[Budget], used: Sequence[Amount], at_s: float) -> Limits:
    """Half of what is left at that moment in each, so that requests still find as much."""
    rooms = (budget.wall(at_s).room(amount) for budget, amount in zip(budgets, used, strict=True))
    return least_of(Limits(_times(room.tokens, 0.5), _times(room.nano_usd, 0.5)) for room in rooms)


def lease(payer: Payer, used: Sequence[Amount], at_s: float, part: float, sharers: Mapping[str, int]) -> Limits:
    """That part of what is left below every rung, where so many of a gateway's payers share an account."""
    rooms = []
    for budget, amount in zip(payer.budgets, used, strict=True):
        quiet, own = budget.ladder.lowest * budget.paced(at_s), part / sharers.get(budget.account, 1)
        left = Limits(_times(budget.tokens, quiet), _times(budget.nano_usd, quiet)).room(amount)
        rooms.append(Limits(_times(left.tokens, own), _times(left.nano_usd, own)))
    return least_of(rooms)


def least_of(limits: Iterable[Limits]) -> Limits:
    """What is within all of them."""
    all_of = tuple(limits)
    return Limits(
        min((each.tokens for each in all_of if each.tokens is not None), default=None),
        min((each.nano_usd for each in all_of if each.nano_usd is not None), default=None),
    )


def usable(most: Limits) -> Limits:
    """The same, or nothing at all where there is nothing of one kind that is limited."""
    return NO_ROOM if most.tokens == 0 or most.nano_usd == 0 else most


@dataclass(frozen=True, slots=True)
class Portions:
    """What an allotment is made of: for while the ledger is away, for while it is there, and what attempts in the air
    hold of the allotment before, which may be more than nothing where both others are."""

    aside: Limits = NO_ROOM
    leased: Limits = NO_ROOM
    carried: Amount = NOTHING

    @property
    def put_aside(self) -> Amount:
        return _amount(self.aside)

    @property
    def amount(self) -> Amount:
        """What the ledger is asked to reserve."""
        return self.put_aside + _amount(self.leased) + self.carried

    def allotment(self, until_s: float) -> Allotment:
        most = _together(self.aside, self.leased, self.carried)
        if self.leased == NO_ROOM:
            return Allotment(most, until_s)
        half = Limits(_times(self.leased.tokens, 0.5), _times(self.leased.nano_usd, 0.5))
        return Allotment(most, until_s, _more(self.leased, self.carried), _more(half, self.carried))


@dataclass(slots=True)
class Allotment:
    """See the theory of operation above. Mutable, without a lock: calls from one event loop need none.

    `most` may be used while the ledger is away, and `leased` of it while it is there, until at `low` it should be
    exchanged; None for a kind that no budget limits. `until_s` is of any monotonic clock. `used` is what is spent, and
    what may yet be.
    """

    most: Limits
    until_s: float
    leased: Limits = NO_ROOM
    low: Limits = NO_ROOM
    spent: Amount = NOTHING
    used: Amount = NOTHING
    held: dict[str, Amount] = field(default_factory=dict)

    def hold(self, id: str, bid: Bid, share: float, now_s: float) -> int | None:
        """The output tokens granted, if the attempt may fill that share of it; None if it does not fit any more."""
        wall = Limits(_times(self.most.tokens, share), _times(self.most.nano_usd, share))
        output_tokens = granted(bid, [wall.room(self.used)]) if now_s < self.until_s else None
        if output_tokens is not None:
            self.held[id] = bid.amount(output_tokens)
            self.used += self.held[id]
        return output_tokens

    def lease(self, id: str, bid: Bid, now_s: float) -> Amount | None:
        """What the attempt holds: all that it bids for, or nothing."""
        amount, leased, used = bid.amount(bid.most_output_tokens), self.leased, self.used
        tokens, nano_usd = used.tokens + amount.tokens, used.nano_usd + amount.nano_usd
        if now_s >= self.until_s or _is_over(tokens, leased.tokens) or _is_over(nano_usd, leased.nano_usd):
            return None
        self.held[id], self.used = amount, Amount(tokens, nano_usd)
        return amount

    @property
    def in_the_air(self) -> Amount:
        """What is held and not settled."""
        return self.used - self.spent

    @property
    def is_low(self) -> bool:
        return _is_over(self.used.tokens, self.low.tokens) or _is_over(self.used.nano_usd, self.low.nano_usd)

    def settle(self, id: str, actual: Amount) -> None:
        """What an attempt that holds of it has used."""
        self.used = self.used - self.held.pop(id) + actual
        self.spent += actual

    def take_over(self, before: Allotment) -> bool:
        """What attempts in the air hold of the one before, if it is room enough; what they have held there is free."""
        held = before.in_the_air
        if self.most.excess(self.used + held) != NOTHING:
            return False
        self.held |= before.held
        self.used += held
        before.held, before.used = {}, before.spent
        return True


def _is_over(used: int, limit: int | None) -> bool:
    return limit is not None and used > limit


def _amount(most: Limits) -> Amount:
    return Amount(most.tokens or 0, most.nano_usd or 0)


def _together(aside: Limits, leased: Limits, carried: Amount) -> Limits:
    """Unlimited is what one of them does not limit, unless that is nothing at all."""
    if leased == NO_ROOM:
        return _more(aside, carried)
    return _more(leased, carried) if aside == NO_ROOM else _more(aside, _amount(leased) + carried)


def _more(most: Limits, by: Amount) -> Limits:
    return Limits(
        None if most.tokens is None else most.tokens + by.tokens,
        None if most.nano_usd is None else most.nano_usd + by.nano_usd,
    )


def _times(limit: int | None, part: float) -> int | None:
    return None if limit is None else max(0, int(limit * part))

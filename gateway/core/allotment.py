"""What a payer may spend while the ledger cannot be reached.

Theory of operation. The strictest of a payer's budgets decides. `closed` spends nothing. `open` spends without asking;
what it was is counted when the ledger is back, and may then be over the limit. `local` spends an *allotment*: a part of
the budgets that this gateway reserved while the ledger was there, as any request reserves, and holds on to. So it is
already counted as used, by everyone, and

    settled + reserved <= limit          stays true while several gateways spend on their own, each in its own memory

Requests hold from the allotment and settle into it; when the ledger is back, the allotment itself is settled with the
sum of what they used. It is of the windows it was reserved in, so it ends with the first of them to end (in a sliding
window, with its bucket): what is spent later would be counted too early.

An allotment is small, because nobody else can have it: `part` of each limit, which all payers of a gateway that share
the budget divide between them, and never more than half of what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.budget import NOTHING, Amount, Away, Bid, Budget, Limits, Payer, granted


def lasting(payer: Payer) -> Payer:
    """Without its rates: those are over before the ledger is back, and a part of a minute's would be no allotment."""
    return replace(payer, budgets=tuple(budget for budget in payer.budgets if not budget.rate))


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


def least_of(limits: Iterable[Limits]) -> Limits:
    """What is within all of them."""
    all_of = tuple(limits)
    return Limits(
        min((each.tokens for each in all_of if each.tokens is not None), default=None),
        min((each.nano_usd for each in all_of if each.nano_usd is not None), default=None),
    )


def reserve_of(most: Limits) -> Amount | None:
    """What the ledger is asked for, to have so much; None where that is nothing, of one kind that is limited."""
    if most.tokens == 0 or most.nano_usd == 0:
        return None
    return Amount(most.tokens or 0, most.nano_usd or 0)


@dataclass(slots=True)
class Allotment:
    """See the theory of operation above. Mutable, without a lock: calls from one event loop need none.

    `most` is what was reserved, None for a kind that no budget limits. `until_s` is of any monotonic clock.
    """

    most: Limits
    until_s: float
    spent: Amount = NOTHING
    held: dict[str, Amount] = field(default_factory=dict)

    @property
    def used(self) -> Amount:
        """What is spent, and what may yet be."""
        return sum(self.held.values(), self.spent)

    def hold(self, id: str, bid: Bid, share: float, now_s: float) -> int | None:
        """The output tokens granted, if the attempt may fill that share of it; None if it does not fit any more."""
        wall = Limits(_times(self.most.tokens, share), _times(self.most.nano_usd, share))
        output_tokens = granted(bid, [wall.room(self.used)]) if now_s < self.until_s else None
        if output_tokens is not None:
            self.held[id] = bid.amount(output_tokens)
        return output_tokens

    def settle(self, id: str, actual: Amount) -> None:
        """What an attempt that holds of it has used."""
        del self.held[id]
        self.spent += actual


def _times(limit: int | None, part: float) -> int | None:
    return None if limit is None else max(0, int(limit * part))

"""What a client is told of a budget that has no room: whose, why, and when to come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core.budget import Amount, Bid, Budget, Kind
from gateway.core.errors import BudgetExceeded, LimitExceeded
from gateway.core.ladder import Rung

_KINDS: tuple[Kind, Kind] = ("tokens", "nano_usd")
_UNIT: dict[Kind, str] = {"tokens": "token", "nano_usd": "dollar"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The ledger's answer to a bid: for each budget its use, and for each and either kind the Unix ms at which there is
    room in this window or the next, 0 where there is room now."""

    budgets: Sequence[Budget]
    used: Sequence[Amount]
    back_ms: Sequence[int]
    now_s: float

    def error(self, bid: Bid, rung: Rung) -> LimitExceeded:
        """Of the budget that keeps the attempt waiting longest. It names no sums: they may be other services'."""
        back_s, budget, kind = max(self._waits(bid, rung), key=lambda wait: wait[0])
        if budget.rate:
            return LimitExceeded(
                f"The limit of {budget.tokens:,} tokens a {budget.rule.kind} of {budget.account!r} does not cover this "
                f"request; {_return(budget, back_s, self.now_s)}.",
                retry_after_s=max(0.0, back_s - self.now_s),
            )
        return BudgetExceeded(
            f"The {_UNIT[kind]} budget of {budget.account!r} for {_stretch(budget)} does not cover this request; "
            f"{_return(budget, back_s, self.now_s)}.",
            budget=budget,
            kind=kind,
            retry_after_s=max(0.0, back_s - self.now_s),
        )

    def _waits(self, bid: Bid, rung: Rung) -> list[tuple[float, Budget, Kind]]:
        kinds = [(budget, used, kind) for budget, used in zip(self.budgets, self.used, strict=True) for kind in _KINDS]
        return [
            (self._paced_s(budget, used, bid, rung, kind, back_ms / 1000), budget, kind)
            for (budget, used, kind), back_ms in zip(kinds, self.back_ms, strict=True)
            if back_ms
        ]

    def _paced_s(self, budget: Budget, used: Amount, bid: Bid, rung: Rung, kind: Kind, back_s: float) -> float:
        """What is paced comes back as the window goes on."""
        whole = dict(budget.limits())[kind] * budget.ladder.share(rung)
        if budget.pace_burst is None or not whole:
            return back_s
        return budget.paced_at_s(getattr(used + bid.least, kind) / whole, self.now_s)


def _stretch(budget: Budget) -> str:
    return f"{'any' if budget.rule.style == 'sliding' else 'this'} {budget.rule.kind}"


def _return(budget: Budget, back_s: float, now_s: float) -> str:
    at = datetime.fromtimestamp(back_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ends = budget.rule.style != "sliding" and back_s >= budget.window(now_s).end_s
    return f"the {budget.rule.kind} ends at {at}" if ends else f"there is room for it from {at} on"

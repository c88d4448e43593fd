"""Tells when a hold has carried a budget over a rung of its ladder."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.budget import Amount, Budget
from gateway.core.events import BudgetLevel, Level
from gateway.core.ladder import Ladder
from gateway.ports import Observer


class BudgetLevels:
    """Each rung of a budget at most once a window, by this process."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._silent_until_s: dict[tuple[Budget, Level], float] = {}

    def risen(self, budget: Budget, by: Amount, after: Amount, now_s: float) -> None:
        """Its use went up to `after`. A rate is meant to be used up, again and again, and tells nothing."""
        share = budget.used_share(after)
        if budget.rate or share < budget.ladder.lowest:
            return
        was = budget.used_share(after.beyond(by))
        for level, rung in _rungs(budget):
            if was < rung <= share and now_s >= self._silent_until_s.get((budget, level), 0.0):
                self._silent_until_s[budget, level] = budget.resets_at_s(now_s)
                self._observer.tell(BudgetLevel(budget.account, budget.rule.kind, level, share))


def _rungs(budget: Budget) -> Iterator[tuple[Level, float]]:
    """A soft budget warns and is spent; the steps between change nothing for it."""
    ladder = budget.ladder if budget.hard else Ladder(budget.ladder.warn, None, None)
    rungs: tuple[tuple[Level, float | None], ...] = (
        ("warn", ladder.warn),
        ("cheaper", ladder.cheaper),
        ("local", ladder.local),
        ("spent", 1.0),
    )
    return ((level, rung) for level, rung in rungs if rung is not None)

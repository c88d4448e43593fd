"""What this process last heard of each budget's use: what it can tell a Redis that has lost its memory.

An epoch is the memory of one Redis: it has an id, and a new one begins when the old one is found missing. Sums heard in
an epoch that is over are what that memory held; those of the present one are known to Redis itself and never told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.adapters.ledger_script import Reply
from gateway.core.budget import Amount, Budget
from gateway.core.frozen import value


@value(frozen=True, slots=True)
class Heard:
    """Who said what a budget's use was, and as which of its pairs."""

    reply: Reply
    pair: int

    @property
    def used(self) -> Amount:
        return self.reply.amounts(self.pair, 1)[0]


class KnownSums:
    """One entry for each budget: its present window. Of a budget that is no longer configured it fades with that."""

    def __init__(self) -> None:
        self._epochs: dict[str, str] = {}
        self._told: Counter[tuple[str, Budget]] = Counter()
        self._heard: dict[str, dict[Budget, Heard]] = {}

    def epoch(self, tag: str) -> str:
        """The one this process goes by; "" before it has heard of any."""
        return self._epochs.get(tag, "")

    def told(self, tag: str, budgets: Sequence[Budget]) -> list[int]:
        """How often Redis has been told what it had lost of each."""
        return [self._told[tag, budget] for budget in budgets]

    def begin(self, tag: str, epoch: str, budgets: Iterable[Budget]) -> None:
        """Redis has been told of these, and this is the present epoch."""
        self._epochs[tag] = epoch
        self._told.update((tag, budget) for budget in budgets)

    def hear(self, tag: str, budgets: Sequence[Budget], meters: Sequence[str], reply: Reply, first: int) -> None:
        """The reply's pairs from `first` on are the use of these meters. What is out of another epoch, or of a window
        that is over, is not remembered; nor what is older than what is known, as replies overtake each other."""
        if reply.epoch and self._epochs.setdefault(tag, reply.epoch) == reply.epoch:
            heard = self._heard.setdefault(tag, {})
            now_ms, now_s = reply.now_ms, reply.now_s
            for pair, (budget, meter) in enumerate(zip(budgets, meters, strict=True), first):
                before = heard.get(budget)
                if meter == budget.meter(now_s) and (before is None or before.reply.now_ms <= now_ms):
                    heard[budget] = Heard(reply, pair)

    def before(self, tag: str, epoch: str, now_s: float) -> dict[Budget, Amount]:
        """What had been used before `epoch` began ("": there is none) and counts in the windows of now."""
        return {
            budget: heard.used
            for budget, heard in self._heard.get(tag, {}).items()
            if heard.reply.epoch != epoch and heard.reply.now_s >= budget.window(now_s).start_s
        }

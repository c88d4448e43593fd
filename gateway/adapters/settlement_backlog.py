"""What is spent but not yet written: kept in this process, bounded, until Redis confirms it.

Losing an entry is safe in one direction only: a hold that is never settled is charged in full when its lease ends.
So when too many settlements wait, the oldest is given up. Spend of services without a budget has no lease behind it;
it waits as one sum for each service and window, which bounds it by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from gateway.core.budget import NOTHING, Amount, Budget


@dataclass(frozen=True, slots=True)
class Settlement:
    """One write: the end of the hold `id`, or, without a budget, a batch of spend under an id of its own."""

    id: str
    service: str
    window: str
    actual: Amount
    budget: Budget | None


class SettlementBacklog:
    """Oldest first. An entry stays until `written`, so that a cancelled write is not a lost one."""

    def __init__(self, max_settlements: int) -> None:
        self._max_settlements = max_settlements
        self._waiting: dict[str, Settlement] = {}
        self._spend: dict[tuple[str, str], Amount] = {}
        self._batched: set[tuple[str, str]] = set()
        self._given_up = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._spend)

    def __contains__(self, id: str) -> bool:
        return id in self._waiting

    @property
    def given_up(self) -> int:
        """Settlements dropped because too many waited: their holds are charged in full."""
        return self._given_up

    def add(self, settlement: Settlement) -> None:
        """The first settlement of an id is the one that counts."""
        if settlement.id in self._waiting:
            return
        if len(self._waiting) - len(self._batched) >= self._max_settlements:
            del self._waiting[next(key for key, oldest in self._waiting.items() if oldest.budget is not None)]
            self._given_up += 1
        self._waiting[settlement.id] = settlement

    def count(self, service: str, window: str, actual: Amount) -> None:
        """Add spend of a service without a budget."""
        where = (service, window)
        self._spend[where] = self._spend.get(where, NOTHING) + actual

    def waiting(self) -> list[Settlement]:
        """Everything to write now. A batch once seen here keeps its id and its sum until it is written: a write whose
        reply was lost is repeated word for word, and the ledger counts it once."""
        for service, window in self._spend.keys() - self._batched:
            batch = Settlement(uuid4().hex, service, window, self._spend.pop((service, window)), None)
            self._waiting[batch.id] = batch
            self._batched.add((service, window))
        return list(self._waiting.values())

    def written(self, settlement: Settlement) -> None:
        self._waiting.pop(settlement.id, None)  # None: given up meanwhile
        if settlement.budget is None:
            self._batched.remove((settlement.service, settlement.window))

    def postpone(self, settlement: Settlement) -> None:
        """Let the others go first next time, in case this one can never be written."""
        if self._waiting.pop(settlement.id, None):
            self._waiting[settlement.id] = settlement

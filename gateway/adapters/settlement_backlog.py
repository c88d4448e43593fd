"""What is spent but not yet written: kept in this process, bounded, until Redis confirms it.

Losing an entry is safe in one direction only: a hold that is never settled is charged in full when its lease ends.
So when too many settlements wait, the oldest is given up. Spend that was never reserved has no lease behind it; it
waits as one sum for each set of meters, which bounds it by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from gateway.core.budget import Amount
from gateway.core.frozen import value
from gateway.ports import Hold


@value(frozen=True, slots=True)
class Settlement:
    """One write: the end of the hold; or, where it `counts`, a batch of spend that was never reserved, under an id of
    its own."""

    hold: Hold
    actual: Amount
    counts: bool = False


@dataclass(slots=True)
class _Spend:
    """What has not been told yet of one set of meters, and who spent last. Added to in place, at each attempt."""

    hold: Hold
    tokens: int = 0
    nano_usd: int = 0


class SettlementBacklog:
    """Oldest first. An entry stays until `written`, so that a cancelled write is not a lost one."""

    def __init__(self, max_settlements: int) -> None:
        self._max_settlements = max_settlements
        self._waiting: dict[str, Settlement] = {}
        self._spend: dict[tuple[str, ...], _Spend] = {}
        self._batched: set[tuple[str, ...]] = set()
        self._given_up = 0
        self._tell_batch: Callable[[Hold, Amount], None] = lambda batch, actual: None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._spend)

    def __contains__(self, id: str) -> bool:
        return id in self._waiting

    @property
    def is_behind(self) -> bool:
        """Whether something waits that Redis has been asked to write, or could not be."""
        return bool(self._waiting)

    def before_batches(self, tell: Callable[[Hold, Amount], None]) -> None:
        """From now on `tell` hears of each batch before anyone can write it."""
        self._tell_batch = tell

    @property
    def given_up(self) -> int:
        """Settlements dropped because too many waited: their holds are charged in full."""
        return self._given_up

    def add(self, settlement: Settlement) -> None:
        """The first settlement of an id is the one that counts."""
        if settlement.hold.id in self._waiting:
            return
        if len(self._waiting) - len(self._batched) >= self._max_settlements:
            del self._waiting[next(key for key, oldest in self._waiting.items() if not oldest.counts)]
            self._given_up += 1
        self._waiting[settlement.hold.id] = settlement

    def count(self, hold: Hold, actual: Amount) -> None:
        """Add spend that was never reserved."""
        spend = self._spend.get(hold.meters)
        if spend is None:
            spend = self._spend[hold.meters] = _Spend(hold)
        spend.hold = hold
        spend.tokens += actual.tokens
        spend.nano_usd += actual.nano_usd

    def waiting(self) -> list[Settlement]:
        """Everything to write now. A batch once seen here keeps its id and its sum until it is written: a write whose
        reply was lost is repeated word for word, and the ledger counts it once."""
        for meters in self._spend.keys() - self._batched:
            spend = self._spend.pop(meters)
            hold, actual = replace(spend.hold, id=uuid4().hex), Amount(spend.tokens, spend.nano_usd)
            batch = Settlement(hold, actual, counts=True)
            self._tell_batch(batch.hold, batch.actual)
            self._waiting[batch.hold.id] = batch
            self._batched.add(meters)
        return list(self._waiting.values())

    def written(self, settlement: Settlement) -> None:
        self._waiting.pop(settlement.hold.id, None)  # None: given up meanwhile
        if settlement.counts:
            self._batched.discard(settlement.hold.meters)  # of a process that is gone, it was not among them

    def postpone(self, settlement: Settlement) -> None:
        """Let the others go first next time, in case this one can never be written."""
        if self._waiting.pop(settlement.hold.id, None):
            self._waiting[settlement.hold.id] = settlement

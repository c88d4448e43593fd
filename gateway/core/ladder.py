"""Shares of a budget at which something milder than a refusal happens.

Theory of operation. A rung needs no decision of its own: an attempt that could still be made in a cheaper way asks the
ledger for less than the whole limit, and is refused by the same atomic call that guards the limit. So two hundred
requests at once agree on where a rung is, and a budget is never overrun to find out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Level = Literal["warn", "cheaper", "local", "spent"]
"""How far up a budget stands: the rungs of its ladder, and the limit itself."""
Rung = Literal["wanted", "cheaper", "wall"]
"""How an attempt stands to the others of its plan: `wanted` is what the plan would rather have, `cheaper` what costs
less; `wall` is one that nothing may stand in for, and only the limit stops it."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Each rung is the share of a limit, 0 to 1, from which on it holds: `warn` tells, `cheaper` lets only cheaper
    models than the planned one answer, `local` only local ones. None: that rung is missing; 1.0 is the limit."""

    warn: float | None = 0.8
    cheaper: float | None = 0.9
    local: float | None = 1.0
    lowest: float = field(init=False, repr=False, compare=False)
    """Below it no rung is reached, and the limit is not."""

    def __post_init__(self) -> None:
        rungs = (self.warn, self.cheaper, self.local, 1.0)
        object.__setattr__(self, "lowest", min(rung for rung in rungs if rung is not None))

    def share(self, rung: Rung) -> float:
        """The part of a limit that such an attempt may fill."""
        if rung == "wall":
            return 1.0
        local = 1.0 if self.local is None else self.local
        return local if rung == "cheaper" or self.cheaper is None else min(self.cheaper, local)

    def level(self, used_share: float) -> Level | None:
        """The highest rung that so much use has reached; None below all of them."""
        if used_share < self.lowest:
            return None
        rungs: tuple[tuple[Level, float | None], ...] = (
            ("spent", 1.0),
            ("local", self.local),
            ("cheaper", self.cheaper),
            ("warn", self.warn),
        )
        return next((level for level, share in rungs if share is not None and used_share >= share), None)


USUAL = Ladder()

"""Shares of a budget at which something milder than a refusal happens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ladder:
    """Each rung is the share of a limit, 0 to 1, from which on it holds: `warn` tells, `cheaper` routes one tier down,
    `local` leaves only local models. None: that rung is missing; 1.0 is the wall itself."""

    warn: float = 0.8
    cheaper: float | None = 0.9
    local: float | None = 1.0


USUAL = Ladder()

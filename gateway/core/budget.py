"""The arithmetic of budgets. The Lua in `adapters/redis_ledger` is its twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WindowKind = Literal["minute", "hour", "day", "week", "month"]


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens and integer nano-dollars, both >= 0."""

    tokens: int = 0
    nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """A service's limits per window; None is no limit of that kind. Windows are calendar windows in UTC."""

    window: WindowKind
    tokens: int | None = None
    nano_usd: int | None = None

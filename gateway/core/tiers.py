"""Light, medium, heavy: how much model a prompt needs, decided by rules that say why.

Measured on 211 hand-labelled prompts, untrained keyword and length rules reach .62 accuracy (ROUTING study,
2026-11-23); a trained classifier replaces them later behind the same `classify`. No signal is medium, never light.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"

    @property
    def rank(self) -> int:
        """0 for light, 2 for heavy."""
        return _RANK[self]


_RANK = {Tier.LIGHT: 0, Tier.MEDIUM: 1, Tier.HEAVY: 2}


@dataclass(frozen=True, slots=True)
class Classified:
    """A tier and why; the reasons go into a header, the log and `explain`."""

    tier: Tier
    reasons: tuple[str, ...]

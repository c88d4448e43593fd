"""The last times that something took, for their quantiles: what is usual now, not what was usual last week."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MOST = 128
LEAST = 20
"""Of fewer, nobody can say what one in twenty is."""


@dataclass(slots=True)
class RecentTimes:
    """Mutable; adding costs a tenth of a microsecond, asking sorts."""

    _times_s: deque[float] = field(default_factory=lambda: deque(maxlen=MOST), init=False)

    def add(self, took_s: float) -> None:
        self._times_s.append(took_s)

    def quantile_s(self, share: float) -> float | None:
        """The time within which that share of them was over; None where too few are known."""
        if len(self._times_s) < LEAST:
            return None
        return sorted(self._times_s)[min(len(self._times_s) - 1, int(share * len(self._times_s)))]

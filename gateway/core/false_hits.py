"""How often a semantic hit was the wrong answer, as far as live checks can tell, and when that is too often.

A share of the hits is asked again at the model that would have answered (`flow/shadow`), and the two answers are
compared. The rate is wrong over decided; its interval is Wilson's, which stays honest for small numbers and for rates
near zero (E. B. Wilson, 1927; Brown, Cai and DasGupta, 2001). A service whose lower bound passes the limit is closed:
its questions are answered without the semantic layer until the gateway is started again, because a rate that only
falls by forgetting would re-open the layer with nothing mended.
"""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import dataclass
from math import sqrt
from typing import Literal

Verdict = Literal["same", "different", "unknown"]
"""`unknown`: the model could not be asked (a spent budget, a provider that is down). It counts for nothing."""

Z_95 = 1.959964
MIN_CHECKS = 20
"""Fewer decide nothing: Wilson's lower bound of one wrong answer in one check is already 21 %."""
PRIOR_RATE = 0.02
"""Of hits at 0.95 behind the guards, with candidates 90:10 (SEMANTIC_CACHE study, 2026-11-23: 1.8 %)."""
PRIOR_CHECKS = 50


def wilson(happened: int, tried: int) -> tuple[float, float]:
    """The 95 % interval of a rate; (0, 1) when nothing was tried."""
    if tried == 0:
        return 0.0, 1.0
    share, z2 = happened / tried, Z_95 * Z_95
    centre = share + z2 / (2 * tried)
    spread = Z_95 * sqrt(share * (1 - share) / tried + z2 / (4 * tried * tried))
    low, high = (centre - spread) / (1 + z2 / tried), (centre + spread) / (1 + z2 / tried)
    return (0.0 if happened == 0 else max(0.0, low)), (1.0 if happened == tried else min(1.0, high))


@dataclass(frozen=True, slots=True)
class Tally:
    """Decided checks of one service since the start, and how many of them found another answer."""

    different: int = 0
    decided: int = 0

    @property
    def rate(self) -> float:
        return self.different / self.decided if self.decided else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.different, self.decided)


class FalseHits:
    """The tally of every service, and which of them are closed. `limit` is a share, 0 to 1."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._closed: set[str] = set()

    def under(self, limit: float) -> FalseHits:
        """The same tallies under another limit. Who is closed stays closed: only a restart opens."""
        other = copy(self)
        other.limit = limit
        return other

    def is_closed(self, service: str) -> bool:
        return service in self._closed

    def tally(self, service: str) -> Tally:
        return self._tallies[service]

    def likely(self, service: str) -> float:
        """The rate to reckon with, from the first check on: the measured one, leaning on the study's."""
        tally = self._tallies[service]
        return (tally.different + PRIOR_RATE * PRIOR_CHECKS) / (tally.decided + PRIOR_CHECKS)

    def checked(self, service: str, verdict: Verdict) -> bool:
        """Count one check. True when it closed the service."""
        if verdict == "unknown":
            return False
        before = self._tallies[service]
        tally = Tally(before.different + (verdict == "different"), before.decided + 1)
        self._tallies[service] = tally
        if self.is_closed(service) or tally.decided < MIN_CHECKS or tally.interval[0] <= self.limit:
            return False
        self._closed.add(service)
        return True

"""Which of several hosts to ask: the one that is expected to answer first.

Theory of operation. A host's cost is a moving average of its time to the first token that rises at once to a slow
answer (the peak) and comes down by time, with `decay_s`: a host that has become slow is avoided after one answer, and
forgiven later (Finagle's `PeakEwma` balancer, 2016; Linkerd's default). Its load is the cost times the requests it
would have: those in flight and this one. A host that nothing is known of costs nothing until it is busy, so it is
tried; then a lot, so that one unanswered request is enough until its answer has told more.

Time comes from the caller, in seconds of any monotonic clock that does not run backwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

UNKNOWN_S = 3_600.0
"""What one request at a host without any answer yet weighs: more than any wait for a first token."""


@dataclass(slots=True)
class PeakEwma:
    """Of one model at one host."""

    decay_s: float = 10.0
    _cost_s: float = field(default=0.0, init=False)
    _at_s: float = field(default=-math.inf, init=False)

    def observe(self, took_s: float, now_s: float) -> None:
        """An answer began after `took_s`."""
        if took_s > self._cost_s:
            self._cost_s = took_s
        else:
            self._cost_s = took_s + (self._cost_s - took_s) * self._kept(now_s)
        self._at_s = now_s

    def load(self, in_flight: int, now_s: float) -> float:
        """For comparing hosts; `in_flight` are the host's requests without this one."""
        cost_s = self.expected_s(now_s)
        if cost_s == 0.0 and in_flight:
            return UNKNOWN_S + in_flight
        return cost_s * (in_flight + 1)

    def expected_s(self, now_s: float) -> float:
        """How long an answer takes to begin; 0 where nothing is known, or nothing has been for long."""
        return self._cost_s * self._kept(now_s)

    def _kept(self, now_s: float) -> float:
        """What is left of the last cost, 0 to 1."""
        return math.exp((self._at_s - now_s) / self.decay_s)

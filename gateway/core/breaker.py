"""A circuit breaker: stop asking what does not answer, and ask again later with one question.

Theory of operation
-------------------
Closed: every call may go; `threshold` failures in a row open it, one success starts the count again.
Open: no call may go, for `open_s`. Half open, after that: exactly one call may go, the probe, and its outcome closes
the breaker or opens it for another `open_s`. A probe that never reports (its task was cancelled) cannot leave the
breaker stuck: letting it go already allowed the next one `open_s` later.

A breaker is about *waiting*: only feed it failures that cost time (time-outs, refused connections), not answers
such as "no". The caller brings the time, in seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Breaker:
    """Mutable, and without a clock, a lock or a task of its own: calls from one event loop need none."""

    threshold: int = 3
    open_s: float = 1.0
    is_closed: bool = field(default=True, init=False)
    """For reading: nearly every request asks, and nothing else of a closed one."""
    _failures: int = field(default=0, init=False)
    _open_until_s: float = field(default=0.0, init=False)

    def is_open(self, now_s: float) -> bool:
        """Whether a call now would be refused. Asking claims nothing."""
        return self.wait_s(now_s) > 0

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next call may go; 0 when one may go now."""
        return 0.0 if self.is_closed else max(0.0, self._open_until_s - now_s)

    def allows(self, now_s: float) -> bool:
        """Whether the caller may go now. In a half-open breaker a True is the probe, given to one caller only."""
        if self.is_open(now_s):
            return False
        if not self.is_closed:
            self._open_until_s = now_s + self.open_s
        return True

    def succeeded(self) -> bool:
        """A call was answered. True when this closed the breaker."""
        closed_now = not self.is_closed
        self._failures = 0
        self.is_closed = True
        return closed_now

    def failed(self, now_s: float) -> bool:
        """A call was not answered. True when this opened a closed breaker."""
        self._failures += 1
        if self.is_closed and self._failures < self.threshold:
            return False
        opened_now = self.is_closed
        self.is_closed = False
        self._open_until_s = now_s + self.open_s
        return opened_now

"""How often one host may be asked again: a share of what it is asked anyway.

Theory of operation. Retries help while failures are few, and make it worse when they are many: a service that fails
half of its requests is sent 1.5 times as many, and fails more. So a host's repeats are bounded by what it is sent for
the first time: `share` of that in the last `window_s`, or `floor` if that is more, because one request in a quiet
minute may be tried again too. In a storm the bound makes 500 requests at most 550 (Google's SRE book, "Handling
Overload": a retry ratio of 10 %; Finagle, Linkerd and GEP-3388 have 20 % and a floor of 10 a second).

What is bounded is the load on a host, so a request that is turned away by one host and asked of another is that
other's first, and no repeat. Time comes from the caller, in seconds of any monotonic clock; counts are kept in
slices of a sixtieth of the window, so memory does not grow with traffic.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_SLICES = 60


@dataclass(slots=True)
class _Slice:
    number: int
    firsts: int = 0
    repeats: int = 0


@dataclass(slots=True)
class RetryBudget:
    """One host's. Mutable, and without a clock or a lock: calls from one event loop need none."""

    share: float = 0.1
    floor: int = 10
    window_s: float = 60.0
    _slices: deque[_Slice] = field(default_factory=deque, init=False)
    _firsts: int = field(default=0, init=False)
    _repeats: int = field(default=0, init=False)

    def first(self, now_s: float) -> None:
        """A request is sent that this host has not seen."""
        self._slice(now_s).firsts += 1
        self._firsts += 1

    def allows(self, now_s: float) -> bool:
        """Whether a repeat may be sent now. Asking takes nothing."""
        self._slice(now_s)
        return self._repeats + 1 <= max(self.floor, self.share * self._firsts)

    def repeat(self, now_s: float) -> None:
        """A request is sent to this host again."""
        self._slice(now_s).repeats += 1
        self._repeats += 1

    def _slice(self, now_s: float) -> _Slice:
        """That of now; what has left the window is forgotten."""
        number = int(now_s * _SLICES / self.window_s)
        while self._slices and self._slices[0].number <= number - _SLICES:
            gone = self._slices.popleft()
            self._firsts -= gone.firsts
            self._repeats -= gone.repeats
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
        return self._slices[-1]

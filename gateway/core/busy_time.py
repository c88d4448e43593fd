"""For how long there was anybody: the time of a machine that is in use, however many use it at once."""

from __future__ import annotations


class BusyTime:
    """Mutable. Moments are monotonic seconds; each `enter` is followed by one `leave`."""

    __slots__ = ("_busy_s", "_inside", "_since_s")

    def __init__(self) -> None:
        self._inside = 0
        self._busy_s = 0.0
        self._since_s = 0.0

    def enter(self, now_s: float) -> None:
        if self._inside == 0:
            self._since_s = now_s
        self._inside += 1

    def leave(self, now_s: float) -> None:
        self._inside -= 1
        if self._inside == 0:
            self._busy_s += now_s - self._since_s

    def total_s(self, now_s: float) -> float:
        """Until now, also of who is still there."""
        return self._busy_s + (now_s - self._since_s if self._inside else 0.0)

"""How long one more request would wait for a slot of a server that answers only so many at once.

Theory of operation. The wait is the queue's length, with the request that asks, times the time that one answer takes a
slot, shared by the slots. That time is a moving average over answers. An answer is only seen from outside, its own
waiting included: with `q` requests before it for `s` slots it took `1 + q / s` times its time in the slot, by the same
rule, so that is divided out again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_WEIGHT = 0.2
"""Of the newest answer: five answers are most of the average, for prompts and lengths change together."""


def queued(in_flight: int, slots: int) -> int:
    """How many answers must end before one more request has a slot; 0 while one is free."""
    return max(0, in_flight - slots + 1)


@dataclass(slots=True)
class SlotQueue:
    """One host's. Mutable; times are in seconds."""

    _in_slot_s: float | None = field(default=None, init=False)

    def answered(self, took_s: float, before: int, slots: int) -> None:
        """An answer has ended, `took_s` after it was asked for with `before` other requests in flight."""
        in_slot_s = took_s / (1 + queued(before, slots) / slots)
        if self._in_slot_s is None:
            self._in_slot_s = in_slot_s
        else:
            self._in_slot_s += _WEIGHT * (in_slot_s - self._in_slot_s)

    def wait_s(self, in_flight: int, slots: int) -> float:
        """Of one more request; 0 before there was any answer."""
        return queued(in_flight, slots) / slots * (self._in_slot_s or 0.0)

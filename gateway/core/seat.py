"""Which of a gateway's worker processes one is, and what is its part of something that all of them have together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seat:
    """`number` is 0 to `count` - 1. A worker that takes a dead one's place has its seat."""

    number: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.number == 0

    def share(self, of_all: int) -> int:
        """The shares of all seats add up to `of_all`, unless there is less than one for each: none has nothing."""
        return max(1, (of_all + self.count - 1 - self.number) // self.count)

"""What a process knows of the hosts that it has asked: their gates, their speed, and what is in flight there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from gateway.core.breaker import Breaker
from gateway.core.busy_time import BusyTime
from gateway.core.gate import Gate
from gateway.core.peak_ewma import PeakEwma
from gateway.core.recent_times import RecentTimes
from gateway.core.retry_budget import RetryBudget
from gateway.core.slot_queue import SlotQueue
from gateway.ports import Clock, Observer


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """A breaker opens after so many `failures` in a row, for `open_s`."""

    failures: int = 5
    open_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Lane:
    """One model at one host. `begins` are the times to the first token of its streams."""

    gate: Gate
    latency: PeakEwma = field(default_factory=PeakEwma)
    begins: RecentTimes = field(default_factory=RecentTimes)


class Host:
    """What is known of one address and key. `name` is for an operator: no key. `lanes` are by the model's name, each
    there from the first time that somebody asks for it."""

    def __init__(self, id: str, name: str, rules: BreakerRules) -> None:
        self.id = id
        self.name = name
        self.in_flight = 0
        self.retries = RetryBudget()
        self.queue = SlotQueue()
        self.busy = BusyTime()
        self.lanes: defaultdict[str, Lane] = defaultdict(lambda: Lane(Gate(Breaker(rules.failures, rules.open_s))))


class Fleet:
    """Every host this process has known. A host that a reload takes away is remembered, in case it comes back."""

    def __init__(self, rules: BreakerRules, clock: Clock, observer: Observer) -> None:
        self.rules = rules
        self.clock = clock
        self.observer = observer
        self.began_s = clock.monotonic_s()
        self._hosts: dict[str, Host] = {}

    def host(self, id: str, name: str) -> Host:
        """The same for the same id, whichever generation asks."""
        return self._hosts.setdefault(id, Host(id, name, self.rules))

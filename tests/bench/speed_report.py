"""What was measured, as a table: medians over the rounds, and ratios inside each round."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. `cpu_s` is the whole process tree's; memory is proportional, before and after."""

    gateway: str
    path: str
    connections: int
    round: int
    cpu_s: float
    idle_mib: float
    after_mib: float
    answers: float
    seconds: float
    p50_us: float
    p99_us: float
    first_byte_p50_us: float
    first_byte_p99_us: float
    events: float
    refused: float
    broken: float

    @property
    def cpu_us(self) -> float:
        """Of one request."""
        return 1e6 * self.cpu_s / max(1, self.answers)

    @property
    def event_us(self) -> float:
        """CPU of one event of a stream."""
        return 1e6 * self.cpu_s / max(1, self.events)

    @property
    def a_second(self) -> float:
        return self.answers / self.seconds

    @property
    def bad(self) -> float:
        return self.refused + self.broken


@dataclass(frozen=True, slots=True)
class Goal:
    """What must hold with most connections: a figure of one of `gateways` (the first is as it ships), or how many times
    another's is as large."""

    gateways: tuple[str, ...]
    path: str
    figure: Callable[[Row], float]
    words: str
    must: float
    rival: tuple[str, str] | None = None


def _cpu(row: Row) -> float:
    return row.cpu_us


def _event(row: Row) -> float:
    return row.event_us


OURS, IN_REDIS = ("Thriftgate", "Thriftgate, no embedder"), ("Thriftgate, hits in Redis",)
GOALS = (
    Goal(OURS, "miss", _cpu, "CPU µs of a miss at most", 250),
    Goal(OURS, "miss", _cpu, "nginx's CPU of a miss, of ours, at least", 0.10, ("nginx", "miss")),
    Goal(OURS, "miss", _cpu, "TensorZero's CPU of a miss, times ours, at least", 1.5, ("TensorZero", "miss")),
    Goal(OURS, "miss", _cpu, "Portkey's CPU of a miss, times ours, at least", 8, ("Portkey", "miss")),
    Goal(OURS, "miss", _cpu, "LiteLLM's CPU of a miss, times ours, at least", 40, ("LiteLLM", "miss")),
    Goal(OURS, "exact hit", _cpu, "CPU µs of a hit in process at most", 110),
    Goal(OURS, "exact hit", _cpu, "LiteLLM's CPU of a hit, times ours, at least", 100, ("LiteLLM", "exact hit")),
    Goal(IN_REDIS, "exact hit", _cpu, "CPU µs of a hit in Redis at most", 300),
    Goal(OURS, "stream", _event, "CPU µs of an event at most", 65),
    Goal(OURS, "stream", _event, "LiteLLM's CPU of an event, times ours, at least", 18, ("LiteLLM", "stream")),
    Goal(OURS, "semantic hit", lambda row: row.p50_us, "µs of a semantic hit, p50 at one connection, at most", 10_000),
)


_COLUMNS = (
    "gateway, path",
    "connections",
    "requests/s",
    "CPU µs",
    "µs/event",
    "p50 / p99 µs",
    "first byte µs",
    "MiB idle / after",
)


def line(row: Row) -> str:
    """One measurement, as it is made."""
    event = f" {row.event_us:6.1f} µs/event" if row.events else ""
    return (
        f"{row.round} {row.gateway:26} {row.path:13} c={row.connections:<3} {row.a_second:8.0f}/s "
        f"{row.cpu_us:8.1f} µs CPU{event}  p50 {row.p50_us:7.0f}  p99 {row.p99_us:7.0f}  first byte "
        f"{row.first_byte_p50_us:7.0f} µs  {row.after_mib:6.1f} MiB  bad {row.bad:g}"
    )


def markdown(rows: list[Row], options: argparse.Namespace) -> str:
    return "\n".join([*_table(rows), "", *_goals(rows), "", _how(options)])


def _table(rows: list[Row]) -> Iterator[str]:
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---" * len(_COLUMNS) + "|"
    for gateway, path, connections in dict.fromkeys((row.gateway, row.path, row.connections) for row in rows):
        mine = [row for row in rows if (row.gateway, row.path, row.connections) == (gateway, path, connections)]
        if void := sum(row.bad for row in mine):
            yield f"| {gateway}, {path} | {connections} | void: {void:g} bad answers | | | | | |"
            continue
        event = f"{_median(row.event_us for row in mine):.1f}" if mine[0].events else ""
        yield (
            f"| {gateway}, {path} | {connections} | {_median(row.a_second for row in mine):,.0f} "
            f"| {_median(row.cpu_us for row in mine):,.1f} | {event} "
            f"| {_median(row.p50_us for row in mine):,.0f} / {_median(row.p99_us for row in mine):,.0f} "
            f"| {_median(row.first_byte_p50_us for row in mine):,.0f} "
            f"| {_median(row.idle_mib for row in mine):.0f} / {_median(row.after_mib for row in mine):.0f} |"
        )


def _goals(rows: list[Row]) -> Iterator[str]:
    yield "| goal | must | of | measured | |"
    yield "|---|---|---|---|---|"
    for goal in GOALS:
        for gateway in goal.gateways:
            figures = list(figures_of(goal, gateway, rows))
            if figures:
                reached = _median(figures)
                at_least = goal.words.endswith("at least")
                verdict = "held" if (reached >= goal.must if at_least else reached <= goal.must) else "missed"
                yield f"| {goal.words} | {goal.must:g} | {gateway} | {reached:,.2f} | {verdict} |"


def figures_of(goal: Goal, gateway: str, rows: list[Row]) -> Iterator[float]:
    """One of each round, with most connections; a semantic hit with fewest, as each takes the embedder. A bad round is
    void."""
    good = [row for row in rows if not row.bad]
    pick = min if goal.path == "semantic hit" else max
    at = pick((row.connections for row in good), default=0)
    cell = {(row.gateway, row.path, row.round): row for row in good if row.connections == at}
    for (name, path, number), row in cell.items():
        if (name, path) != (gateway, goal.path):
            continue
        if goal.rival is None:
            yield goal.figure(row)
        elif rival := cell.get((*goal.rival, number)):
            yield goal.figure(rival) / max(goal.figure(row), 0.1)


def _median(figures: Iterable[float]) -> float:
    return statistics.median(figures)


def _how(options: argparse.Namespace) -> str:
    return (
        f"{where()} · `make bench`: {options.rounds} rounds of {options.seconds:g} s, medians; one core for the "
        "gateway, the other for mock and load; bodies of 1 kB; plain HTTP upstream."
    )


def where() -> str:
    """When, on what, and how busy it was."""
    cpus = {line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")}
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {os.cpu_count()} × {' '.join(cpus) or platform.machine()} · Python "
        f"{platform.python_version()} · load {load}"
    )


def _cpuinfo() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines()

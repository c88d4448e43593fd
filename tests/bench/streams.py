"""What 1,000 streams at once take: memory, and whether all of them come to their end.

    python -m tests.bench.streams [--rounds 3] [--streams 1000] [--only NAME ...]

Each stream has an event every half second for ten seconds. Memory is the proportional set size of the gateway's whole
process tree (Valkey is a child of it), before, at its highest, and when all streams have ended. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.contestants import CONTESTANTS, Contestant
from tests.bench.speed import Asking, built, outcome, running
from tests.bench.speed_report import where

CHUNKS, PACE_US = 20, 500_000
DEFAULT = ("nginx", "Thriftgate", "Thriftgate, no embedder", "TensorZero")
MUST_MIB, AIM_MIB = 150, 100
_EVERY_S = 0.25


class Memory(NamedTuple):
    """MiB, and how many of the streams came to a good end."""

    before: float
    highest: float
    after: float
    whole: float


def main(options: argparse.Namespace) -> None:
    print(f"| {options.streams:,} streams | MiB before | highest | more | after | whole | |")
    print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        built(Path(folder))
        for one in CONTESTANTS:
            if one.name in options.only and not one.absence:
                found = Memory(*map(statistics.median, zip(*_rounds(one, Path(folder), options), strict=True)))
                print(line(one.name, found), flush=True)
    print(f"\n{where()} · `python -m tests.bench.streams`: medians of {options.rounds} rounds.")


def _rounds(one: Contestant, tools: Path, options: argparse.Namespace) -> Iterator[Memory]:
    for _ in range(options.rounds):
        with running(one, tools, CHUNKS, PACE_US) as asking:
            yield streamed(asking, options.streams)


def line(name: str, found: Memory) -> str:
    more = found.highest - found.before
    goal = f"at most {MUST_MIB}, aim {AIM_MIB}: {'held' if more <= MUST_MIB else 'missed'}"
    figures = " | ".join(f"{figure:.0f}" for figure in (found.before, found.highest, more, found.after, found.whole))
    return f"| {name} | {figures} | {goal if name.startswith('Thriftgate') else ''} |"


def streamed(asking: Asking, streams: int) -> Memory:
    asking.warm_up("stream")
    before = asking.memory_mib()
    with asking.asked("stream", streams, 1.0, streams) as load:
        highest = max(_samples(asking, load))
        heard = outcome(load)
    return Memory(before, highest, asking.memory_mib(), heard["answers"] - heard["refused"] - heard["broken"])


def _samples(asking: Asking, load: subprocess.Popen[str]) -> list[float]:
    found = []
    while load.poll() is None:
        found.append(asking.memory_mib())
        time.sleep(_EVERY_S)
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--only", action="append", help="a name from tests/bench/contestants.py")
    options = parser.parse_args()
    options.only = options.only or DEFAULT
    return options


if __name__ == "__main__":
    main(parsed())

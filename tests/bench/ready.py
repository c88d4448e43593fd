"""Seconds from the command to answering and to ready, and the idle memory of the gateway process.

    python tests/bench/ready.py [ROUNDS]

Prints the median of the rounds (5) for the shipped configuration and for one without any model, beside the goals. The
memory is the gateway process's own (VmRSS after /readyz says ready); Valkey and llama.cpp are children of their own.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.fixtures.process import Served, serving

WITHOUT_MODELS = """
embedder: {engine: none}
providers: {cloud: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: "unused"}}
models: {m: {provider: cloud, tier: light, price: free}}
"""
GOALS = {"shipped": (15.0, 250.0), "without models": (2.0, 100.0)}


def main(rounds: int) -> None:
    print(f"{'configuration':<16} {'answers s':>10} {'ready s':>8} {'goal':>6} {'RSS MiB':>8} {'goal':>6}")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.yaml")
        bare.write_text(WITHOUT_MODELS)
        for name, arguments in (("shipped", []), ("without models", ["--config", str(bare)])):
            answers_s, ready_s, rss_mib = map(statistics.median, zip(*measured(rounds, arguments), strict=True))
            goal_s, goal_mib = GOALS[name]
            print(f"{name:<16} {answers_s:>10.2f} {ready_s:>8.2f} {goal_s:>6.0f} {rss_mib:>8.0f} {goal_mib:>6.0f}")


def measured(rounds: int, arguments: list[str]) -> Iterator[tuple[float, float, float]]:
    for _ in range(rounds):
        with started(arguments) as (served, started_s):
            httpx.get(f"{served.url}/healthz", trust_env=False, timeout=60.0).raise_for_status()
            answers_s = time.monotonic() - started_s
            served.wait_for(r"\] ready$")
            ready_s = time.monotonic() - started_s
            yield answers_s, ready_s, rss_of(served.process.pid)


@contextmanager
def started(arguments: list[str]) -> Iterator[tuple[Served, float]]:
    with tempfile.TemporaryDirectory() as folder:
        started_s = time.monotonic()
        with serving(Path(folder, "state"), *arguments) as served:
            yield served, started_s


def rss_of(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)

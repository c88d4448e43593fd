"""Whether a request costs more when much is cached: `python -m tests.bench.growth [--entries 10000,100000,1000000]`.

Two gateways as they ship but without an embedder, one whose exact cache is emptied before each turn and one that has so
many answers of 1 kB; asked in turns, and the ratio is taken within each. The answers are put by the gateway's own
adapter, from beside, into the Valkey that it has started, which then is started anew: what a gateway has not put itself
it learns of at its start. CPU is the whole tree's, Valkey's too. Goal: within 20 %.
A million takes some minutes, 2 GiB of memory and as much disk.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import tempfile
from pathlib import Path

from redis import Redis

from gateway.adapters.clock import SystemClock
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.redis_cache import RedisCache
from gateway.adapters.redis_client import connect
from gateway.adapters.valkey_child import url_of
from tests.bench.contestants import CONTESTANTS, Way
from tests.bench.speed import Asking, built, running
from tests.bench.speed_report import Row, where
from tests.fixtures.semantic import EventList

NAMES: dict[str, Way] = {"Thriftgate, no embedder": "miss", "Thriftgate, hits in Redis": "hit"}
"""What is asked of which: hits in process never ask the cache that grows."""
CONNECTIONS = [16]
ANSWER = b"x" * 1_000
PORTION = 5_000
DAY_S = 86_400


def main(options: argparse.Namespace) -> None:
    print(f"| cached answers | path | CPU µs | of an empty cache's | p99 of an empty cache's |\n{'|---' * 5}|")
    chosen = [(one, NAMES[one.name]) for one in CONTESTANTS if one.name in NAMES]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        built(Path(folder))
        for one, way in chosen:
            with running(one, Path(folder)) as empty, tempfile.TemporaryDirectory(prefix="bench-") as kept:
                had = 0
                for entries in options.entries:
                    with running(one, Path(folder), folder=Path(kept)) as filling:
                        asyncio.run(fill(url_of(filling.place.state), entries - had))
                    had = entries
                    with running(one, Path(folder), folder=Path(kept)) as full:
                        asyncio.run(learned(url_of(full.place.state)))
                        turns = [turn(empty, full, way, number, options.seconds) for number in range(options.rounds)]
                    print(line(entries, way, turns), flush=True)
    print(f"\n{where()} · `make bench-growth`: medians of {options.rounds} turns of {options.seconds:g} s.")


async def fill(url: str, more: int) -> None:
    """By the adapter that the gateway writes with, and until Valkey has settled."""
    client = connect(url, timeout_s=60.0)
    clock = SystemClock()
    cache = RedisCache(client, MemoryCache(clock, max_bytes=0), clock, EventList(), timeout_s=60.0)
    cache.start()
    for number in range(more):
        await cache.put(secrets.token_hex(32), ANSWER, DAY_S, "somebody else")
        if number % PORTION == 0:
            await cache.flush()
    await cache.flush()
    await cache.stop()
    while (await client.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110 - another process sends no event
        await asyncio.sleep(0.5)
    await client.aclose()
    if cache.dropped:
        raise RuntimeError(f"{cache.dropped} answers were not stored")


async def learned(url: str) -> None:
    """Until the gateway has read which answers there are, which it begins with its start."""
    client = connect(url, timeout_s=60.0)
    before, now = -1, 0
    while now != before:
        await asyncio.sleep(1.0)
        stats = await client.info("commandstats")
        before, now = now, stats.get("cmdstat_scan", {}).get("calls", 0)
    await client.aclose()


def turn(empty: Asking, full: Asking, way: Way, number: int, seconds: float) -> tuple[Row, Row]:
    with Redis.from_url(url_of(empty.place.state)) as client:
        client.flushall()
    (first,), (second,) = [list(one.path(way, way, number, CONNECTIONS, seconds)) for one in (empty, full)]
    return first, second


def line(entries: int, way: Way, turns: list[tuple[Row, Row]]) -> str:
    if bad := sum(row.bad for pair in turns for row in pair):
        return f"| {entries:,} | {way} | void: {bad:g} bad answers | | |"
    cpu_us = statistics.median(full.cpu_us for _, full in turns)
    ratio = statistics.median(full.cpu_us / empty.cpu_us for empty, full in turns)
    slower = statistics.median(full.p99_us / empty.p99_us for empty, full in turns)
    return f"| {entries:,} | {way} | {cpu_us:,.0f} | {ratio:.2f} | {slower:.2f} |"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [10_000, 100_000, 1_000_000]
    parser.add_argument("--entries", type=lambda text: [int(part) for part in text.split(",")], default=sizes)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    return parser.parse_args()


if __name__ == "__main__":
    main(parsed())

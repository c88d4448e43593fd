"""What a broken cache costs the requests of a gateway: `python -m tests.bench.cache_faults`.

One gateway on a Valkey and a Qdrant stub that are processes of their own, which are killed, frozen (SIGSTOP) and
slowed while clients ask. Prints the latency of requests beside the healthy run just before it: what the first second
of a fault adds at p99 (goal 60 ms), and what is added once the breaker is open (goal 2 ms). Client, gateway and
upstream share one event loop, so on a busy machine read the differences. Exits with 1 when a request fails.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path

import uvloop
from redis import Redis

from tests import loopback
from tests.fixtures.gateway import Running, chat, running
from tests.fixtures.qdrant import QdrantStub
from tests.fixtures.state import Valkey

FIRST_S = 1.0
STEADY_S = 4.0
EVERY_S = 0.1
MODEL = "gpt-6.1-terra"
NUMBERS = count()


@dataclass
class Times:
    """Latencies in seconds, each with when it began after the start."""

    at_s: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0

    def of(self, since_s: float, until_s: float) -> list[float]:
        return [took_s for began_s, took_s in self.at_s if since_s <= began_s < until_s]


async def ask(gateway: Running, times: Times, started_s: float) -> None:
    began_s = time.perf_counter()
    body = chat(f"Where do I find tool number {next(NUMBERS)}?", MODEL)
    answer = await gateway.http.post("/v1/chat/completions", json=body)
    times.at_s.append((began_s - started_s, time.perf_counter() - began_s))
    times.failed += answer.status_code != 200


async def measure(gateway: Running) -> Times:
    """A new question every 100 ms, whatever became of those before."""
    times, started_s = Times(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        while time.perf_counter() - started_s < FIRST_S + STEADY_S:
            group.create_task(ask(gateway, times, started_s))
            await asyncio.sleep(EVERY_S)
    return times


def p99_ms(times_s: list[float]) -> float:
    return statistics.quantiles(times_s, n=100)[98] * 1000


def serve_stub(urls: Queue[str], fault: str | None) -> None:
    async def run() -> None:
        stub = QdrantStub(fault=fault)
        server = await asyncio.start_server(stub.converse, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        urls.put(f"http://{host}:{port}")
        await server.serve_forever()

    asyncio.run(run())


def started_stub(stack: ExitStack, fault: str | None = None) -> tuple[str, BaseProcess]:
    context = get_context("spawn")
    urls: Queue[str] = context.Queue()
    process = context.Process(target=serve_stub, args=(urls, fault), daemon=True)
    process.start()
    stack.callback(process.kill)
    return urls.get(), process


def hold_up(url: str) -> None:
    """Every command waits for 0.2 s behind one that is always there."""
    with Redis.from_url(url) as redis:
        while True:
            redis.execute_command("DEBUG", "SLEEP", "0.2")


@dataclass
class Parts:
    stack: ExitStack
    valkey: Valkey
    qdrant: BaseProcess

    def slow_redis(self) -> None:
        process = get_context("spawn").Process(target=hold_up, args=(self.valkey.url,), daemon=True)
        process.start()
        self.stack.callback(process.kill)

    def kill_redis(self) -> None:
        self.valkey.kill()

    def freeze_redis(self) -> None:
        self.valkey.freeze()

    def kill_qdrant(self) -> None:
        self.qdrant.kill()

    def freeze_qdrant(self) -> None:
        os.kill(self.qdrant.pid or 0, signal.SIGSTOP)

    def freeze_both(self) -> None:
        self.freeze_redis()
        self.freeze_qdrant()

    def leave_alone(self) -> None:
        """What two healthy runs differ by."""


FAULTS: dict[str, Callable[[Parts], None]] = {
    "healthy": Parts.leave_alone,
    "redis killed": Parts.kill_redis,
    "redis frozen": Parts.freeze_redis,
    "redis slow": Parts.slow_redis,
    "qdrant killed": Parts.kill_qdrant,
    "qdrant frozen": Parts.freeze_qdrant,
    "both frozen": Parts.freeze_both,
}


@asynccontextmanager
async def gateway_on(stack: ExitStack) -> AsyncIterator[tuple[Running, Parts]]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-")))
    valkey = Valkey(folder, "--enable-debug-command", "yes")
    valkey.start()
    stack.callback(valkey.kill)
    url, process = started_stub(stack)
    async with loopback.serve(loopback.OpenAI()) as upstream:
        config = {
            "state": {"redis_url": valkey.url},
            "embedder": {"engine": "onnx"},
            "vectors": {"qdrant_url": url},
            "cache": {"semantic": {"shadow_share": 0, "value_of_second_usd": 1_000}},
            "providers": {"openai": {"kind": "openai", "base_url": upstream.base_url, "api_key": upstream.api_key}},
            "models": {MODEL: {"provider": "openai", "tier": "medium"}},
        }
        async with running(folder, config) as gateway:
            while (await gateway.http.get("/readyz")).status_code != 200:
                pass  # each round is a real request
            await measure(gateway)  # the first seconds of a gateway are slower
            yield gateway, Parts(stack, valkey, process)


async def main() -> int:
    failed = 0
    print(
        f"{'':<16}{'p50':>8}{'p99, first second':>20}{'p99 after':>12}   ms; added to healthy: first, after (p50, p99)"
    )
    for name, break_it in FAULTS.items():
        with ExitStack() as stack:
            async with gateway_on(stack) as (gateway, parts):
                healthy = await measure(gateway)
                break_it(parts)
                times = await measure(gateway)
        whole, first = times.of(0, FIRST_S + STEADY_S), times.of(0, FIRST_S)
        after = times.of(FIRST_S, FIRST_S + STEADY_S)
        base = healthy.of(0, FIRST_S + STEADY_S)
        added_p50 = (statistics.median(after) - statistics.median(base)) * 1000
        print(
            f"{name:<16}{statistics.median(whole) * 1000:>8.1f}{p99_ms(first):>20.1f}{p99_ms(after):>12.1f}"
            f"   {p99_ms(first) - p99_ms(base):+.1f}, {added_p50:+.1f}, {p99_ms(after) - p99_ms(base):+.1f}"
            f"{'' if not times.failed else f'   FAILED {times.failed}'}",
            flush=True,
        )
        failed += times.failed
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))

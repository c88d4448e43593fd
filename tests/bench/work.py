"""How much a request makes the event loop do, counted.

    python -m tests.bench.work [--json] [--profile PATH]

Counts do not depend on how fast a machine is or who else uses it, so a test can hold them. Counted is what runs on the
loop's thread of a whole gateway behind its own HTTP server: calls of Python functions and of C functions from Python
(cProfile), tasks that are made, and commands that Valkey has heard. The CPU is told as a ratio to a bare route on the
same server, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
import yaml
from redis import Redis

from gateway.adapters.valkey_child import url_of
from gateway.app import Gateway
from gateway.http.exchange import Exchange
from gateway.http.front import Front
from gateway.http_server import HttpServer
from gateway.settings import load
from tests.bench.contestants import KEY
from tests.bench.lockstep import Client, Lockstep, providing

CONNECTIONS, EACH = 16, 10
"""At once, and how often each asks: so what is gathered for milliseconds is gathered from many, however slow all is."""
ROUNDS = 3
STREAMS, SHORT, LONG = 10, 10, 50
"""How many, one after the other, and the words of each: the difference is what the events between them cost."""
BUDGET = {"budget": {"usd": 1_000_000, "window": "month"}}
Ask = Callable[[Client], None]


class Work(NamedTuple):
    """Of one request, or of one event of a stream."""

    calls: float
    tasks: float
    redis_commands: float


class Measured(NamedTuple):
    """A path's work; its CPU, in times of a bare route's, where that says more than the calls; the last round."""

    path: str
    work: Work
    cpu_ratio: float | None
    profile: cProfile.Profile


class Counting:
    """A gateway that runs, and clients in front of it, each in a thread of its own."""

    def __init__(self, clients: Sequence[Client], redis_url: str, threads: Executor) -> None:
        self.clients = clients
        self._redis = Redis.from_url(redis_url)
        self._threads = threads
        self._tasks = 0
        self.profile = cProfile.Profile()
        asyncio.get_running_loop().set_task_factory(self._made)

    def _made(self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
        self._tasks += 1
        return asyncio.Task(coro, loop=loop, **more)

    async def request(self, path: str, ask: Ask) -> Measured:
        """When all clients ask at once."""
        work = await self._least(ask, self.clients, CONNECTIONS * EACH)
        return Measured(path, work, await self._cpu_ratio(ask), self.profile)

    async def stream_event(self) -> Measured:
        """When one client asks."""
        short = await self._least(lambda client: client.streams(STREAMS, SHORT), self.clients[:1], STREAMS)
        long = await self._least(lambda client: client.streams(STREAMS, LONG), self.clients[:1], STREAMS)
        event = Work(*((more - less) / (LONG - SHORT) for more, less in zip(long, short, strict=True)))
        return Measured("stream event", event, None, self.profile)

    async def _least(self, ask: Ask, clients: Sequence[Client], requests: int) -> Work:
        """Of some rounds: what the gateway does now and then falls on some of them."""
        await self.asked(ask, clients)
        rounds = [await self._round(ask, clients, requests) for _ in range(ROUNDS)]
        return Work(*map(min, zip(*rounds, strict=True)))

    async def _round(self, ask: Ask, clients: Sequence[Client], requests: int) -> Work:
        tasks, commands, self.profile = self._tasks, self._commands(), cProfile.Profile()
        self.profile.enable()
        await self.asked(ask, clients)
        self.profile.disable()
        calls = sum(entry.callcount for entry in self.profile.getstats())
        return Work(calls / requests, (self._tasks - tasks) / requests, (self._commands() - commands) / requests)

    async def remembered(self) -> None:
        await self.asked(Client.remember, self.clients[:1])

    async def asked(self, ask: Ask, clients: Sequence[Client]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, ask, client) for client in clients))

    def _commands(self) -> int:
        heard: int = self._redis.info("stats")["total_commands_processed"]
        return heard

    async def _cpu_ratio(self, ask: Ask) -> float:
        """Of the loop's thread, to that of as many requests to the bare route: the median of the rounds' ratios."""
        return statistics.median([await self._cpu_s(ask) / await self._cpu_s(bare) for _ in range(ROUNDS)])

    async def _cpu_s(self, ask: Ask) -> float:
        before_s = time.thread_time()
        await self.asked(ask, self.clients)
        return time.thread_time() - before_s


@asynccontextmanager
async def counting(service: Mapping[str, Any] = {}, **settings: Any) -> AsyncIterator[Counting]:
    """A gateway as it ships, but for its one service, these settings, and that it has no embedder."""
    step, started = Lockstep(), asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="work-") as folder, providing(step) as base_url, ExitStack() as stack:
        services = [{"name": "bench", "key": KEY, **service}]
        gateway = _gateway(Path(folder), base_url, {"services": services, **settings})
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        threads = stack.enter_context(ThreadPoolExecutor(CONNECTIONS))
        server = HttpServer(BesideBare(gateway.front), 5.0, lambda: None, started.set)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        await started.wait()
        try:
            port = listener.getsockname()[1]
            clients = [Client(port, step, number) for number in range(CONNECTIONS)]
            yield Counting(clients, url_of(Path(folder, "state")), threads)
        finally:
            server.leave()
            await serving


def _gateway(folder: Path, base_url: str, settings: Mapping[str, Any]) -> Gateway:
    config = {
        "data_dir": str(folder / "state"),
        "state": {"timeout_ms": 30_000},
        "embedder": {"engine": "none"},
        "providers": {"mock": {"kind": "openai", "base_url": base_url, "api_key": "sk-upstream"}},
        "models": {"mock-model": {"provider": "mock", "tier": "light", "price": {"input": 0.15, "output": 0.6}}},
        **settings,
    }
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(config))
    return Gateway(load(file, {}))


class BesideBare:
    """The same, and a route that reads its request and answers 1 kB: what the server alone takes."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._front(scope, receive, send)

    async def answer(self, exchange: Exchange) -> None:
        if exchange.path != "/bare":
            await self._front.answer(exchange)
            return
        await exchange.body(1 << 20)
        await exchange.respond(200, {"content-type": "application/json"}, b" " * 1_000)


def bare(client: Client) -> None:
    client.bare(EACH)


def miss(client: Client) -> None:
    client.misses(EACH)


def hit(client: Client) -> None:
    client.hits(EACH)


async def measured() -> AsyncIterator[Measured]:
    """Every path. The server's own share is in each, as the bare route tells it."""
    async with counting() as plain:
        yield await plain.request("bare route", bare)
        yield await plain.request("miss", miss)
        await plain.remembered()
        yield await plain.request("exact hit", hit)
        yield await plain.stream_event()
    async with counting(cache={"exact": {"memory_bytes": 0}}) as forgetful:
        await forgetful.remembered()
        yield await forgetful.request("exact hit in Redis", hit)
    async with counting(BUDGET) as budgeted:
        yield await budgeted.request("miss, with a budget", miss)


async def main(options: argparse.Namespace) -> None:
    found = [one async for one in measured()]
    if options.json:
        print(json.dumps({one.path: [one.work, one.cpu_ratio] for one in found}))
        return
    for path, work, cpu_ratio, profile in found:
        ratio = f" {cpu_ratio:6.1f} times a bare route's CPU" if cpu_ratio else ""
        print(f"{path:20} {work.calls:7.0f} calls {work.tasks:6.2f} tasks {work.redis_commands:6.2f} in Redis{ratio}")
        if path == options.profile:
            pstats.Stats(profile).sort_stats("ncalls").print_stats(80)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for tests/bench/test_work.py")
    parser.add_argument("--profile", help="a path whose calls are listed")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main(parsed()))

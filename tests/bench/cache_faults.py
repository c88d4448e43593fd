"""What a broken cache costs the requests of a gateway: `python -m tests.bench.cache_faults`.

Gateway, Valkey, Qdrant stub, upstream and client are processes of their own. Two gateways of one kind run side by side
and are asked in turns, one request at a time at a steady pace; then the parts of one are killed, frozen (SIGSTOP) or
slowed while the other stays well. So what else the machine does falls on both, and the difference of their quantiles is
the fault's. Prints what is added at p99 in the first second of the fault (goal 60 ms) and after it, when the breaker is
open (goal 2 ms). `healthy` is what two well gateways differ by: read the others with that in mind. Exits with 1 when
a request fails.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from redis import Redis

from tests.bench.semantic import MODEL, body, provide, quantile
from tests.fixtures.process import serving
from tests.fixtures.qdrant import QdrantStub
from tests.fixtures.state import Valkey

FIRST_S = 1.0
WELL_S = 3.0
STEADY_S = 9.0
EVERY_S = 0.02
NUMBERS = count()


def serve_stub(urls: Queue[str]) -> None:
    async def run() -> None:
        stub = QdrantStub()
        server = await asyncio.start_server(stub.converse, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        urls.put(f"http://{host}:{port}")
        await server.serve_forever()

    asyncio.run(run())


def started(stack: ExitStack, work: Callable[[Queue[str]], None]) -> tuple[str, BaseProcess]:
    """What the process says of itself, and the process."""
    context = get_context("spawn")
    said: Queue[str] = context.Queue()
    process = context.Process(target=work, args=(said,), daemon=True)
    process.start()
    stack.callback(process.kill)
    return said.get(), process


def hold_up(url: str) -> None:
    """Every command waits for 0.2 s behind one that is always there."""
    with Redis.from_url(url) as redis:
        while True:
            redis.execute_command("DEBUG", "SLEEP", "0.2")


@dataclass
class Parts:
    """A gateway's own."""

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

    def slow_qdrant(self) -> None:
        """It runs for 5 ms of each 100."""
        throttle = threading.Thread(target=self._throttle, daemon=True)
        throttle.start()

    def freeze_both(self) -> None:
        self.freeze_redis()
        self.freeze_qdrant()

    def leave_alone(self) -> None:
        """What two healthy gateways differ by."""

    def _throttle(self) -> None:
        while self.qdrant.is_alive():
            self.freeze_qdrant()
            time.sleep(0.095)
            os.kill(self.qdrant.pid or 0, signal.SIGCONT)
            time.sleep(0.005)


FAULTS: dict[str, Callable[[Parts], None]] = {
    "healthy": Parts.leave_alone,
    "redis killed": Parts.kill_redis,
    "redis frozen": Parts.freeze_redis,
    "redis slow": Parts.slow_redis,
    "qdrant killed": Parts.kill_qdrant,
    "qdrant frozen": Parts.freeze_qdrant,
    "qdrant slow": Parts.slow_qdrant,
    "both frozen": Parts.freeze_both,
}


@dataclass
class Asked:
    """One gateway, its parts, and the milliseconds its requests took, each with when it began."""

    address: str
    parts: Parts
    took_ms: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(self.address, timeout=60)

    def ask(self, since_s: float) -> None:
        payload = json.dumps(body(f"Where do I find tool number {next(NUMBERS)}?"))
        began_s = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", payload, {"content-type": "application/json"})
        response = self._connection.getresponse()
        response.read()
        self.took_ms.append((began_s - since_s, 1_000 * (time.perf_counter() - began_s)))
        self.failed += response.status != 200

    def between(self, since_s: float, until_s: float) -> list[float]:
        return [ms for began_s, ms in self.took_ms if since_s <= began_s < until_s]


def gateway_on(stack: ExitStack, upstream: str) -> Asked:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-")))
    valkey = Valkey(folder, "--enable-debug-command", "yes")
    valkey.start()
    stack.callback(valkey.kill)
    url, qdrant = started(stack, serve_stub)
    base_url, api_key = upstream.split()
    config = {
        "state": {"redis_url": valkey.url},
        "vectors": {"qdrant_url": url},
        "cache": {"semantic": {"shadow_share": 0, "value_of_second_usd": 0, "cpu_second_usd": 0}},  # always looks
        "providers": {"openai": {"kind": "openai", "base_url": base_url, "api_key": api_key}},
        "models": {MODEL: {"provider": "openai", "tier": "medium"}},
    }
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(config))
    served = stack.enter_context(serving(folder / "state", "--config", str(file)))
    served.wait_for(r"\] ready$")
    return Asked(urlsplit(served.url).netloc, Parts(stack, valkey, qdrant))


def ask_in_turns(gateways: Sequence[Asked], for_s: float) -> None:
    """Each gets a question every EVERY_S; one that is slow does not make the other wait for its turn."""
    started_s = time.perf_counter()

    def steadily(gateway: Asked, first_s: float) -> None:
        for turn in range(round(for_s / EVERY_S)):
            time.sleep(max(0.0, started_s + first_s + turn * EVERY_S - time.perf_counter()))
            gateway.ask(started_s)

    threads = [
        threading.Thread(target=steadily, args=(gateway, at * EVERY_S / len(gateways)))
        for at, gateway in enumerate(gateways)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measured(break_it: Callable[[Parts], None], upstream: str) -> tuple[Asked, Asked]:
    """The well one and the broken one."""
    with ExitStack() as stack:
        well, broken = gateway_on(stack, upstream), gateway_on(stack, upstream)
        ask_in_turns([well, broken], WELL_S)  # the first seconds of a gateway are slower
        well.took_ms.clear()
        broken.took_ms.clear()
        break_it(broken.parts)
        ask_in_turns([well, broken], FIRST_S + STEADY_S)
    return well, broken


def report(name: str, well: Asked, broken: Asked) -> None:
    spans = {"first": (0.0, FIRST_S), "after": (FIRST_S, FIRST_S + STEADY_S)}
    figures = []
    for span in spans.values():
        for share in (0.5, 0.99):
            one, other = quantile(well.between(*span), share), quantile(broken.between(*span), share)
            figures.append(f"{one:7.1f}{other:7.1f} {other - one:+7.1f}")
    failed = f"   FAILED {well.failed + broken.failed}" if well.failed + broken.failed else ""
    print(f"{name:<14}{' |'.join(figures)}{failed}", flush=True)


def main() -> int:
    failed = 0
    print(f"{'ms':<14}{'first second, p50':>22} |{'p99':>22} |{'after, p50':>22} |{'p99':>22}")
    print(f"{'':<14}" + " |".join([f"{'well':>7}{'broken':>7}{'added':>8}"] * 4))
    chosen = sys.argv[1:] or list(FAULTS)
    with ExitStack() as stack:
        upstream, _ = started(stack, provide)
        for name in chosen:
            well, broken = measured(FAULTS[name], upstream)
            report(name, well, broken)
            failed += well.failed + broken.failed
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

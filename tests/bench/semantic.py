"""What the semantic layer costs with 100,000 stored questions, on real parts: `python -m tests.bench.semantic`.

Prints medians over rounds, beside the goals. All 100,000 points are in one scope, the dearest case, beside what the
gateway itself stores. Two gateways, the layer on and off, run side by side and are asked in turns, so that what else
the machine does falls on both; upstream is a loopback provider in a process of its own, and clients are single
connections. Exits with 1 when a goal is missed; on a busy machine read the ratios, not the figures.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import yaml

from gateway.adapters.clock import SystemClock
from gateway.adapters.edge_index import EdgeIndex
from gateway.adapters.onnx_embedder import OnnxEmbedder
from gateway.core.chat import parse_chat
from gateway.core.fingerprint import semantic_scope
from tests import loopback
from tests.fixtures.process import Served, serving
from tests.fixtures.semantic import EventList

POINTS = 100_000
ROUNDS = 5
SEARCHES = 400
HITS = 60
MISSES = 25
STEADY_S = 4.0
STEADY_EVERY_S = 0.01
MISS_EVERY_S = 0.07
DEADLINE_MS = 30.0
MODEL = "gpt-6.1-terra"
SCOPE = "default\n"


def body(text: str) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]}


def index_in(folder: Path) -> EdgeIndex:
    """As the gateway opens it; with room for what is stored besides."""
    return EdgeIndex(
        folder / "vectors",
        engine=OnnxEmbedder.engine,
        dimensions=OnnxEmbedder.dimensions,
        observer=EventList(),
        clock=SystemClock(),
        max_points=POINTS + 20_000,
    )


async def fill(folder: Path) -> list[float]:
    """Strangers in the gateway's own scope; then the milliseconds of look-ups that find one of them."""
    scope = semantic_scope(parse_chat(body("x")), SCOPE, f"model:{MODEL}", OnnxEmbedder.engine)
    chance = np.random.default_rng(1)
    vectors = chance.standard_normal((POINTS, OnnxEmbedder.dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = index_in(folder)
    await index.start()
    for number, vector in enumerate(vectors):
        await index.add(scope, vector.tolist(), f"stranger-{number}", "A question of somebody else.", 86_400)
    took_ms = []
    for number in range(0, POINTS, POINTS // SEARCHES):
        vector = vectors[number].tolist()
        started_s = time.perf_counter()
        found = await index.nearest(scope, vector, 0.95)
        took_ms.append(1_000 * (time.perf_counter() - started_s))
        assert found is not None
        assert found.key == f"stranger-{number}"
    await index.stop()
    return took_ms


def provide(urls: Queue[str]) -> None:
    """A loopback provider until the process is ended."""

    async def main() -> None:
        async with loopback.serve(loopback.OpenAI()) as upstream:
            upstream.always(loopback.Answer("It takes about three working days, and longer at the end of the year."))
            urls.put(f"{upstream.base_url} {upstream.api_key}")
            await asyncio.Event().wait()

    asyncio.run(main())


def configuration(folder: Path, base_url: str, api_key: str, *, semantic: bool) -> Path:
    config = {
        "vectors": {"max_points": POINTS + 20_000},
        "providers": {"cloud": {"kind": "openai", "base_url": base_url, "api_key": api_key}},
        "models": {MODEL: {"provider": "cloud", "tier": "medium"}},
        "cache": {"semantic": {"enabled": semantic, "deadline_ms": DEADLINE_MS, "shadow_share": 0}},
    }
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


class Client:
    """One kept connection."""

    def __init__(self, served: Served) -> None:
        address = urlsplit(served.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def again(self) -> Client:
        """Connect anew at the next request: the gateway closes what was idle for five seconds."""
        self._connection.close()
        return self

    def ask(self, text: str) -> tuple[str, float]:
        """The cache's verdict and the milliseconds."""
        payload = json.dumps(body(text))
        started_s = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", payload, {"content-type": "application/json"})
        response = self._connection.getresponse()
        response.read()
        took_ms = 1_000 * (time.perf_counter() - started_s)
        assert response.status == 200, response.status
        return response.headers["x-thriftgate-cache"], took_ms


PLACES = ("France", "Japan", "Peru", "Kenya", "Norway", "Brazil")
_fresh = count()


def question(place: str) -> str:
    """About 20 tokens."""
    return f"How many working days does the post office usually take to deliver a parcel to {place}?"


def fresh(words: int = 14) -> str:
    """A question nobody has asked."""
    number = next(_fresh)
    return f"Case {number}: what became of it, and of " + " and ".join(
        f"item {number + at}" for at in range(words // 3)
    )


@dataclass
class Figures:
    """Milliseconds of each round, by what was measured."""

    rounds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.rounds.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def hits(client: Client) -> list[float]:
    """Paraphrases, answered by meaning; one that came late and is a miss is not counted."""
    asked = [client.ask(spaced(f"{question(PLACES[at % len(PLACES)])} Thanks!", next(_fresh))) for at in range(HITS)]
    return [took_ms for verdict, took_ms in asked if verdict == "semantic-hit"]


def spaced(text: str, number: int) -> str:
    """The same words in other bytes: the number, in binary, says where two spaces stand."""
    words = text.split()
    return "".join(word + " " * (1 + (number >> at & 1)) for at, word in enumerate(words)).rstrip()


def misses(client: Client) -> list[float]:
    """Questions of about 50 tokens: some come within the deadline, some do not."""
    return [client.ask(fresh(40))[1] for _ in range(MISSES)]


def steadily(client: Client, disturbing: Client) -> list[float]:
    """Exact hits at a steady rate, while another connection asks what nobody asked before."""
    over = threading.Event()

    def disturb() -> None:
        while not over.wait(MISS_EVERY_S):
            disturbing.ask(fresh())

    other = threading.Thread(target=disturb)
    other.start()
    took_ms = []
    for turn in ticks(STEADY_S, STEADY_EVERY_S):
        verdict, one_ms = client.ask(question(PLACES[turn % len(PLACES)]))
        assert verdict == "hit"
        took_ms.append(one_ms)
    over.set()
    other.join()
    return took_ms


def ticks(for_s: float, every_s: float) -> Iterator[int]:
    """At their times, however long each turn takes."""
    started_s = time.perf_counter()
    for turn in range(round(for_s / every_s)):
        time.sleep(max(0.0, started_s + turn * every_s - time.perf_counter()))
        yield turn


async def embeddings() -> list[float]:
    """The embedder alone, in this process, on the same texts: what a hit cannot be quicker than."""
    embedder = OnnxEmbedder()
    await embedder.start()
    took_ms = []
    for at in range(HITS):
        started_s = time.perf_counter()
        await embedder.embed([spaced(f"{question(PLACES[at % len(PLACES)])} Thanks!", next(_fresh))])
        took_ms.append(1_000 * (time.perf_counter() - started_s))
    await embedder.stop()
    return took_ms


def measure(on: Served, off: Served) -> Figures:
    figures = Figures()
    clients = {"on": (Client(on), Client(on)), "off": (Client(off), Client(off))}
    for client, _ in clients.values():
        for place in PLACES:
            client.ask(question(place))
        settle(client)
    for _ in range(ROUNDS):
        figures.add("embedding p50", quantile(asyncio.run(embeddings()), 0.5))
        by_meaning = hits(clients["on"][0].again())
        figures.add("hits counted", len(by_meaning))
        figures.add("hit p50", quantile(by_meaning, 0.5) if by_meaning else float("inf"))
        for name, (client, disturbing) in clients.items():
            figures.add(f"miss p50 {name}", quantile(took := misses(client.again()), 0.5))
            figures.add(f"miss max {name}", max(took))
            steady = steadily(client.again(), disturbing.again())
            figures.add(f"steady p50 {name}", quantile(steady, 0.5))
            figures.add(f"steady p99 {name}", quantile(steady, 0.99))
    return figures


def settle(client: Client) -> None:
    """Until what was asked is found by its exact key; each round is a real request."""
    while any(client.ask(question(place))[0] != "hit" for place in PLACES):
        pass


def report(search_ms: Sequence[float], figures: Figures) -> bool:
    """One line a figure; whether every goal is met."""
    held_ms = figures.median("miss p50 on") - figures.median("miss p50 off")
    ratio = figures.median("steady p99 on") / figures.median("steady p99 off")
    alone_ms, hit_ms = figures.median("embedding p50"), figures.median("hit p50")
    print(f"embedding alone, p50: {alone_ms:.2f} ms, so a hit is {hit_ms - alone_ms:.2f} ms more")
    print(f"hits counted, of {HITS} a round: {figures.median('hits counted'):.0f} (the others came after the deadline)")
    print(f"exact hits beside misses, p50: {figures.median('steady p50 on'):.2f} ms on, "
          f"{figures.median('steady p50 off'):.2f} ms off; p99 {figures.median('steady p99 on'):.2f} on, "
          f"{figures.median('steady p99 off'):.2f} off")  # fmt: skip
    print(f"slowest miss: {figures.median('miss max on'):.1f} ms on, {figures.median('miss max off'):.1f} ms off")
    rows: list[tuple[str, float, float]] = [
        (f"vector search among {POINTS:,}, p50 ms", quantile(search_ms, 0.5), 3.0),
        (f"vector search among {POINTS:,}, p99 ms", quantile(search_ms, 0.99), 3.0),
        ("20 tokens answered by meaning, p50 ms", hit_ms, 10.0),
        ("a miss is held, p50 ms on less off", held_ms, DEADLINE_MS + 2.0),
        ("exact hits' p99, on over off", ratio, 1.25),
    ]
    print(f"\n{'':44} {'median':>8} {'goal':>6}")
    for name, value, goal in rows:
        print(f"{name:44} {value:8.2f} {goal:6.2f}{'' if value <= goal else '  missed'}")
    return all(value <= goal for _, value, goal in rows)


def main() -> int:
    processes = get_context("spawn")
    urls: Queue[str] = processes.Queue()
    provider = processes.Process(target=provide, args=(urls,), daemon=True)
    provider.start()
    base_url, api_key = urls.get().split()
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        print(f"filling an index with {POINTS:,} questions ...", flush=True)
        search_ms = asyncio.run(fill(folders[0] / "state"))
        served = [
            stack.enter_context(
                serving(folder / "state", "--config", str(configuration(folder, base_url, api_key, semantic=semantic)))
            )
            for folder, semantic in zip(folders, (True, False), strict=True)
        ]
        for each in served:
            each.wait_for(r"\] ready$")
        print("measuring ...", flush=True)
        met = report(search_ms, measure(*served))
    provider.terminate()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

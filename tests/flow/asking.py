"""A pipeline on a provider of the test's own: no HTTP, so that thousands of requests take seconds.

The provider, the cache and the ledger stand at the ports, which is where the seams are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.adapters.clock import SystemClock
from gateway.adapters.memory_cache import MemoryCache
from gateway.core.budget import Amount, Bid, Payer
from gateway.core.chat import ChatRequest, parse_chat
from gateway.core.chunks import Chunk, assemble
from gateway.core.errors import UpstreamError
from gateway.core.false_hits import FalseHits
from gateway.core.ladder import Rung
from gateway.core.options import DEFAULT, Options
from gateway.core.plan import Catalog, Model
from gateway.core.pricing import Price, Rates
from gateway.core.retry import RetryPolicy
from gateway.core.service import Service
from gateway.core.tiers import Tier
from gateway.core.worth import Worth, WorthRules
from gateway.flow.call import Call
from gateway.flow.dispatch import Dispatch
from gateway.flow.fleet import BreakerRules, Fleet
from gateway.flow.flight import Ground
from gateway.flow.hosts import Hosts
from gateway.flow.join import Questions
from gateway.flow.lookup import Lookup
from gateway.flow.meaning import Meaning, MeaningRules
from gateway.flow.pipeline import Answer, Pipeline
from gateway.flow.routing import Routing, RoutingMemory
from gateway.flow.tasks import Tasks
from gateway.ports import Answered, Hold, Standing, Upstream
from tests.fixtures.semantic import EventList

MODEL = Model("m", "p", "m", Tier.LIGHT, Price(Rates(Decimal(1), Decimal(1))))


@dataclass
class Script:
    """`ports.Provider`: says `pieces` of text, each when `ticks` allows (None: at once), then the end or `failure`."""

    pieces: tuple[str, ...] = ("Hello", " world")
    ticks: asyncio.Semaphore | None = None
    failure: UpstreamError | None = None
    name: str = "p"
    absence: str | None = None
    waiting_for: str | None = None
    asked: list[ChatRequest] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    produced: int = 0
    closed: int = 0

    @asynccontextmanager
    async def chat(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> AsyncIterator[Upstream]:
        self.asked.append(chat)
        self.arrived.set()
        try:
            yield Upstream(self._portions())
        finally:
            self.closed += 1

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> Answered:
        async with self.chat(chat, model, max_output_tokens, strict=strict) as upstream:
            return Answered(assemble([chunk async for portion in upstream.portions for chunk in portion]))

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        raise AssertionError("nobody asks for embeddings here")

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def _portions(self) -> AsyncIterator[list[Chunk]]:
        for piece in self.pieces:
            if self.ticks is not None:
                await self.ticks.acquire()
            self.produced += 1
            yield [chunk({"content": piece})]
        if self.failure is not None:
            raise self.failure
        yield [chunk({}, "stop")]
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        yield [{**chunk({}), "choices": [], "usage": usage}]


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Chunk:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


@dataclass
class Books:
    """`ports.Ledger` without limits; remembers what was settled."""

    settled: list[tuple[str, Amount]] = field(default_factory=list)

    async def hold(self, id: str, payer: Payer, bid: Bid, rung: Rung = "wall") -> Hold:
        most = bid.most_output_tokens
        return Hold(id, payer.name, payer.tag, bid.amount(most), most, 0.0, payer.budgets)

    async def settle(self, hold: Hold, actual: Amount) -> None:
        self.settled.append((hold.account, actual))

    async def standing(self, payer: Payer) -> tuple[Standing, ...]:
        return ()


class Words:
    """`ports.TokenCounter`: a word is a token."""

    async def count(self, text: str) -> int:
        return len(text.split())


def call(id: str, text: str = "Hello?", service: str = "a", options: Options = DEFAULT, **body: Any) -> Call:
    chat = parse_chat({"model": "m", "messages": [{"role": "user", "content": text}], "stream": True, **body})
    return Call(id, Service(service, cache_scope=f"service:{service}"), chat, options, SystemClock().monotonic_s(), 0.0)


class Shelf:
    """`ports.Cache` in memory alone. Yields to the loop before it answers, as a cache on a socket would."""

    def __init__(self) -> None:
        self.memory = MemoryCache(SystemClock())
        self.gets = 0

    def at_hand(self, key: str) -> bytes | None:
        return None

    def may_have(self, key: str) -> bool:
        return True

    async def get(self, key: str) -> bytes | None:
        self.gets += 1
        await asyncio.sleep(0)
        return self.memory.get(key)

    async def put(self, key: str, value: bytes, ttl_s: int, owner: str = "") -> None:
        self.memory.put(key, value, ttl_s, owner)

    async def forget(self, owner: str | None = None, key: str | None = None) -> int | None:
        return self.memory.forget(owner, key)


@dataclass
class Walk:
    """A pipeline, and everything it stands on."""

    pipeline: Pipeline
    questions: Questions
    meaning: Meaning
    provider: Script
    books: Books
    shelf: Shelf
    told: EventList

    async def settles_down(self) -> None:
        """Everybody has done what can be done without the provider: nothing here waits for anything but the loop."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def whole(self, call: Call) -> str:
        async with self.pipeline.serve(call) as answer:
            content: str = (await answer.whole())["choices"][0]["message"]["content"]
            return content

    async def streamed(self, call: Call) -> str:
        async with self.pipeline.serve(call) as answer:
            chunks = await heard(answer)
        return "".join(part["delta"].get("content") or "" for chunk in chunks for part in chunk["choices"])


async def heard(answer: Answer) -> list[Chunk]:
    """To its end."""
    chunks: list[Chunk] = []
    while more := await answer.more():
        chunks += more
    return chunks


def walk(provider: Script, *, max_questions: int = 100, deadline_s: float = 60.0) -> Walk:
    """The semantic layer joins when the test attaches its parts; it then always pays, and may take its time."""
    clock, told, tasks, books, shelf = SystemClock(), EventList(), Tasks(), Books(), Shelf()
    false_hits = FalseHits(0.05)
    meaning = Meaning(
        MeaningRules(deadline_s=deadline_s),
        Worth(WorthRules(value_of_second_usd=0.0, cpu_second_usd=0.0)),
        false_hits,
        told,
        clock,
        tasks,
    )
    lookup = Lookup(shelf, 3_600, meaning, told, clock, tasks)
    questions = Questions(max_questions=max_questions)
    fleet = Fleet(BreakerRules(), clock, told)
    hosts = Hosts(fleet, [(fleet.host("p", "p"), provider)])
    dispatch = Dispatch({"p": hosts}, Ground(books, Words()), RetryPolicy(per_model=1), told, clock)
    routing = Routing(Catalog((MODEL,)), dict, lambda features, explained: None, RoutingMemory(), clock)
    pipeline = Pipeline(Catalog((MODEL,)), routing, lookup, questions, dispatch, told, clock)
    return Walk(pipeline, questions, meaning, provider, books, shelf, told)

"""Two services that ask the same things at the same time, on every layer at once."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.edge_index import EdgeIndex
from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk
from gateway.core.events import RequestFinished
from gateway.core.plan import Model
from gateway.flow.meaning import Semantic
from gateway.ports import Upstream
from tests.fixtures.semantic import EventList
from tests.flow.asking import Script, call, chunk, walk

QUESTIONS = 300
MANNERS = ("Where do I find tool {}?", "Where do I find tool {}, please?", "Please, where do I find tool {}?")


class ByNumber:
    """`ports.Embedder` to which a question is its number, whoever asks and however: only scopes keep services apart."""

    engine = "by-number"
    dimensions = 4
    max_tokens = 100

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        angles = [2 * math.pi * int(re.findall(r"[0-9]+", text)[0]) / QUESTIONS for text in texts]
        return [[math.cos(angle), math.sin(angle), 0.0, 0.0] for angle in angles]


@dataclass
class Numbered(Script):
    """Never says the same twice, so that an answer tells which request it was made for."""

    @asynccontextmanager
    async def chat(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> AsyncIterator[Upstream]:
        self.asked.append(chat)
        yield Upstream(self._numbered(f"answer {len(self.asked)}"))

    async def _numbered(self, text: str) -> AsyncIterator[list[Chunk]]:
        await asyncio.sleep(0)
        yield [chunk({"content": text})]
        yield [chunk({}, "stop")]


@pytest.mark.parametrize("requests", [2_000, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_in_thousands_of_mixed_requests_nobody_has_anothers_answer(tmp_path: Path, requests: int) -> None:
    order = random.Random(4)
    asking = walk(Numbered())
    index = EdgeIndex(tmp_path, engine="by-number", dimensions=4, observer=EventList(), clock=SystemClock())
    await index.start()
    asking.meaning.attach(Semantic(ByNumber(), index))
    heard: dict[str, set[str]] = defaultdict(set)
    ids = count()

    async def ask(service: str) -> None:
        text = order.choice(MANNERS).format(order.randrange(QUESTIONS))
        answering = asking.whole if order.random() < 0.5 else asking.streamed
        heard[service].add(await answering(call(str(next(ids)), text, service)))

    for _ in range(requests // 100):
        await asyncio.gather(*(ask(order.choice("ab")) for _ in range(100)))
    await index.stop()
    verdicts = Counter(event.cache for event in asking.told.events if isinstance(event, RequestFinished))
    assert heard["a"].isdisjoint(heard["b"])
    assert verdicts.total() == requests
    assert verdicts["miss"] == len(asking.provider.asked) == len(heard["a"]) + len(heard["b"])
    assert {"hit", "semantic-hit", "joined", "miss"} == set(verdicts)  # every layer has been asked
    assert len(asking.questions) == 0

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.adapters.clock import SystemClock
from gateway.adapters.edge_index import EdgeIndex
from gateway.core.events import NotByMeaning, RequestFinished
from gateway.core.worth import Worth, WorthRules
from gateway.flow.meaning import Semantic
from tests.fixtures.semantic import EventList
from tests.flow.asking import Script, call, walk


class Halting:
    """`ports.Embedder` that answers nothing until it is let go on."""

    engine = "halting"
    dimensions = 4
    max_tokens = 100

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.given: list[str] = []
        self.has_some = asyncio.Event()

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.given += texts
        self.has_some.set()
        await self.goes_on.wait()
        return [[1.0, 0.0, 0.0, 0.0] for _ in texts]


async def test_one_question_waits_for_an_embedder_that_has_stopped_and_the_next_do_not(tmp_path: Path) -> None:
    asking, embedder = walk(Script(), deadline_s=0.01), Halting()
    index = EdgeIndex(tmp_path, engine="halting", dimensions=4, observer=EventList(), clock=SystemClock())
    await index.start()
    asking.meaning.attach(Semantic(embedder, index))
    for number in range(3):
        assert await asking.whole(call(str(number), f"What is {number}?")) == "Hello world"
    embedder.goes_on.set()
    await index.stop()
    why = [event.reasons[-1] for event in asking.told.events if isinstance(event, RequestFinished)]
    assert why[0] == "semantic gave up after 10 ms"
    assert all(reason.startswith("semantic skipped: the embedder has been silent for ") for reason in why[1:])


async def test_what_would_come_too_late_is_neither_looked_up_nor_stored(tmp_path: Path) -> None:
    asking, embedder = walk(Script(), deadline_s=60.0), Halting()
    index = EdgeIndex(tmp_path, engine="halting", dimensions=4, observer=EventList(), clock=SystemClock())
    await index.start()
    asking.meaning.attach(Semantic(embedder, index))
    asking.meaning.worth = Worth(WorthRules(value_of_second_usd=0, cpu_second_usd=0))
    asking.meaning.worth.embedded(tokens=1, took_s=1_000_000.0)
    for number in range(3):
        await asking.whole(call(str(number), f"What is {number}?"))
    await index.stop()
    assert embedder.given == []
    assert [event.why for event in asking.told.events if isinstance(event, NotByMeaning)] == ["late"] * 3

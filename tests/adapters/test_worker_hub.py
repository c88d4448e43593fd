"""The supervisor's end, with workers that are channels over a real unix socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from gateway.adapters.siblings import Learned, SupervisedSiblings
from gateway.adapters.worker_channel import Declined, Parts, WorkerChannel
from gateway.adapters.worker_hub import WorkerHub
from gateway.core.errors import InvalidConfiguration

PATIENT_S = 60.0


class Fake:
    """A worker that answers everything with its name, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: asyncio.Queue[tuple[str, Parts]] = asyncio.Queue()
        self.refuses: set[str] = set()

    async def handle(self, what: str, parts: Parts) -> Parts:
        self.asked.put_nowait((what, parts))
        if what in self.refuses:
            raise ValueError(f"{self.name} cannot")
        return [self.name.encode()]


class Supervised:
    """A hub for two, and what it has heard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[tuple[int, str, str]] = []
        self.reloads: list[str] = []
        self.hub = WorkerHub(2, welcome=self._welcome, reload=self._reload, hear=lambda *said: self.heard.append(said))

    async def _welcome(self) -> Parts:
        return [b"configuration", b"models"]

    async def _reload(self) -> str:
        if not self.reloads:
            raise Declined("it is wrong")
        return self.reloads.pop()

    async def seat(self, number: int, worker: Fake) -> tuple[WorkerChannel, Sequence[bytes]]:
        """A channel, and what the worker was greeted with."""
        channel = WorkerChannel(*await asyncio.open_unix_connection(self.path), worker.handle)
        return channel, await channel.ask("hello", str(number).encode(), within_s=PATIENT_S)

    async def unseat(self, number: int, channel: WorkerChannel) -> None:
        await channel.close()
        while number in self.hub.seated:  # noqa: ASYNC110 - it tells nobody who has left
            await asyncio.sleep(0)


@asynccontextmanager
async def supervised() -> AsyncIterator[Supervised]:
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        path = Path(folder, "workers.sock")
        it = Supervised(path)
        await it.hub.start(path)
        yield it
        await it.hub.stop()


async def test_a_worker_is_greeted_with_what_all_serve_and_what_the_one_before_it_had_counted() -> None:
    async with supervised() as it:
        first, greeting = await it.seat(0, Fake("a"))
        assert greeting == [b"configuration", b"models"]
        first.tell("snapshot", b"metrics", b"40")
        await first.ask("snapshots", b"metrics", within_s=PATIENT_S)  # so it has been heard
        await it.unseat(0, first)
        second, greeting = await it.seat(0, Fake("b"))
        assert greeting == [b"configuration", b"models", b"40"]
        await second.close()


async def test_snapshots_are_of_now_and_of_the_dead_the_last() -> None:
    async with supervised() as it:
        one, _ = await it.seat(0, Fake("a"))
        other, _ = await it.seat(1, Fake("b"))
        siblings = SupervisedSiblings(one)
        assert await siblings.snapshots("metrics") == [b"b"]
        await it.unseat(1, other)
        assert await siblings.snapshots("metrics") == [b"b"]
        assert await siblings.snapshots("tally") == []
        await one.close()


async def test_what_must_be_forgotten_is_forgotten_by_all_or_it_is_said() -> None:
    async with supervised() as it:
        worker = Fake("b")
        one, _ = await it.seat(0, Fake("a"))
        siblings = SupervisedSiblings(one)
        assert not await siblings.forget(None, "key"), "the other is not there"
        other, _ = await it.seat(1, worker)
        assert await siblings.forget("shop", None)
        assert await worker.asked.get() == ("forget", [orjson.dumps(["shop", None])])
        worker.refuses.add("forget")
        assert not await siblings.forget("shop", None)
        await one.close()
        await other.close()


async def test_what_is_learned_is_told_to_the_others_alone() -> None:
    question = Learned("scope", [0.5], "key", "text", 60, "owner")
    async with supervised() as it:
        one, other = Fake("a"), Fake("b")
        first, _ = await it.seat(0, one)
        second, _ = await it.seat(1, other)
        SupervisedSiblings(first).learned(question)
        what, parts = await other.asked.get()
        assert (what, Learned.of(*parts)) == ("learned", question)
        assert one.asked.empty()
        await first.close()
        await second.close()


async def test_one_that_cannot_is_told_of_and_one_that_is_gone_is_not_waited_for() -> None:
    async with supervised() as it:
        never = Fake("b")
        one, _ = await it.seat(0, Fake("a"))
        other, _ = await it.seat(1, never)
        assert await it.hub.ask_all("prepare") == [[b"a"], [b"b"]]
        never.refuses.add("prepare")
        with pytest.raises(Declined, match="b cannot"):
            await it.hub.ask_all("prepare")
        await it.unseat(1, other)
        assert await it.hub.ask_all("prepare") == [[b"a"]]
        await one.close()


async def test_a_worker_asks_for_a_reload_of_all() -> None:
    async with supervised() as it:
        one, _ = await it.seat(0, Fake("a"))
        with pytest.raises(InvalidConfiguration, match=r"Nothing has changed\. it is wrong"):
            await SupervisedSiblings(one).reload()
        it.reloads.append("services: 1")
        assert await SupervisedSiblings(one).reload() == "services: 1"
        one.tell("say", b"hello")
        await one.ask("snapshots", b"metrics", within_s=PATIENT_S)
        assert it.heard == [(0, "say", "hello")]
        await one.close()

"""Questions and news between two ends of a real unix socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.adapters.worker_channel import Declined, Handler, Parts, Unheard, WorkerChannel

PATIENT_S = 60.0


async def echo(what: str, parts: Parts) -> Parts:
    return [what.encode(), *parts]


@asynccontextmanager
async def talking(here: Handler = echo, there: Handler = echo) -> AsyncIterator[tuple[WorkerChannel, WorkerChannel]]:
    accepted: asyncio.Future[WorkerChannel] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(WorkerChannel(reader, writer, there))

    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        path = Path(folder, "talk.sock")
        async with await asyncio.start_unix_server(accept, path):
            one = WorkerChannel(*await asyncio.open_unix_connection(path), here)
            other = await accepted
            yield one, other
            await one.close()
            await other.close()


def blocked() -> tuple[Callable[[str, Parts], asyncio.Future[Parts]], asyncio.Future[Parts]]:
    """A handler that answers when the test says so."""
    answer: asyncio.Future[Parts] = asyncio.get_running_loop().create_future()
    return lambda what, parts: answer, answer


async def test_both_ends_ask_and_are_answered() -> None:
    async with talking() as (one, other):
        assert await one.ask("a", b"1", b"", within_s=PATIENT_S) == [b"a", b"1", b""]
        assert await other.ask("b", within_s=PATIENT_S) == [b"b"]


async def test_large_parts_arrive_whole() -> None:
    large = bytes(range(256)) * 40_000
    async with talking() as (one, _):
        assert await one.ask("large", large, large, within_s=PATIENT_S) == [b"large", large, large]


async def test_a_slow_answer_delays_no_other() -> None:
    slow, answer = blocked()

    async def there(what: str, parts: Parts) -> Parts:
        return await slow(what, parts) if what == "slow" else [b"quick"]

    async with talking(there=there) as (one, _):
        waiting = asyncio.ensure_future(one.ask("slow", within_s=PATIENT_S))
        assert await one.ask("quick", within_s=PATIENT_S) == [b"quick"]
        answer.set_result([b"late"])
        assert await waiting == [b"late"]


async def test_what_cannot_be_done_is_declined_with_its_reason() -> None:
    async def there(what: str, parts: Parts) -> Parts:
        raise ValueError("no such thing")

    async with talking(there=there) as (one, _):
        with pytest.raises(Declined, match="no such thing"):
            await one.ask("x", within_s=PATIENT_S)


async def test_news_is_heard_and_not_answered() -> None:
    heard: asyncio.Queue[tuple[str, Parts]] = asyncio.Queue()

    async def there(what: str, parts: Parts) -> Parts:
        heard.put_nowait((what, parts))
        return ()

    async with talking(there=there) as (one, _):
        one.tell("news", b"good")
        assert await heard.get() == ("news", [b"good"])


async def test_no_answer_in_time_is_unheard() -> None:
    never, _ = blocked()
    async with talking(there=never) as (one, _):
        with pytest.raises(Unheard):
            await one.ask("x", within_s=0.01)


async def test_the_end_of_one_ends_the_questions_of_the_other() -> None:
    never, _ = blocked()
    async with talking(there=never) as (one, other):
        waiting = asyncio.ensure_future(one.ask("x", within_s=PATIENT_S))
        await asyncio.sleep(0)
        await other.close()
        with pytest.raises(Unheard):
            await waiting
        await one.closed.wait()
        with pytest.raises(Unheard):
            await one.ask("y", within_s=PATIENT_S)
        one.tell("z")

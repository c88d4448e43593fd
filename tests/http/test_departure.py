from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gateway.http.departure import Departure, Loss
from gateway.http.exchange import Exchange
from tests.http.serving import serving

MAX_BYTES = 4_096


def departure(loss: Loss) -> Departure:
    task = asyncio.current_task()
    assert task is not None
    return Departure(loss, task)


async def wait_inside(loss: Loss, inside: asyncio.Event) -> str:
    with departure(loss):
        inside.set()
        await asyncio.get_running_loop().create_future()
    return "went on"


async def test_a_client_that_leaves_cancels_the_work_and_nothing_else() -> None:
    waiting, cancelled = asyncio.Event(), asyncio.Event()
    after: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def app(exchange: Exchange) -> None:
        await exchange.body(MAX_BYTES)
        with exchange.departure():
            try:
                waiting.set()
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.set()
                raise
        task = asyncio.current_task()
        assert task is not None
        after.set_result(task.cancelling())

    async with serving(app) as listening:
        _, writer = await listening.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}")
        await waiting.wait()
        writer.close()
        await cancelled.wait()
        assert await after == 0


async def test_nothing_is_cancelled_after_the_last_byte() -> None:
    client_gone = asyncio.Event()
    finished: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def app(exchange: Exchange) -> None:
        await exchange.body(MAX_BYTES)
        try:
            with exchange.departure() as departure:
                departure.disarm()
                await exchange.respond(200, {}, b"done")
                await client_gone.wait()
            finished.set_result(True)
        except asyncio.CancelledError:
            finished.set_result(False)
            raise

    async with serving(app) as listening:
        reader, writer = await listening.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}")
        assert await reader.readuntil(b"done")
        writer.close()
        await asyncio.sleep(0.01)
        client_gone.set()
        assert await finished


async def test_who_had_left_before_is_noticed_at_once() -> None:
    loss = Loss()
    loss.happen()
    assert await wait_inside(loss, asyncio.Event()) == "went on"


async def test_somebody_elses_cancellation_is_not_swallowed() -> None:
    inside = asyncio.Event()
    task = asyncio.ensure_future(wait_inside(Loss(), inside))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_shutdown_at_the_moment_the_client_leaves_gets_through() -> None:
    loss, inside = Loss(), asyncio.Event()
    task = asyncio.ensure_future(wait_inside(loss, inside))
    await inside.wait()
    loss.happen()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_a_cancellation_from_before_stays_counted() -> None:
    loss, inside = Loss(), asyncio.Event()

    async def cancelled_before() -> tuple[str, int]:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await wait_inside(loss, inside), task.cancelling()

    task = asyncio.ensure_future(cancelled_before())
    await inside.wait()
    loss.happen()
    assert await task == ("went on", 1)


async def test_an_error_inside_is_not_hidden_by_the_client_leaving() -> None:
    loss = Loss()

    async def fails_when_cancelled() -> None:
        with departure(loss):
            loss.happen()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                raise RuntimeError("while closing") from None

    with pytest.raises(RuntimeError, match="while closing"):
        await fails_when_cancelled()

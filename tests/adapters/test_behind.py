from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.adapters.behind import Behind


async def test_it_ends_although_what_it_drains_swallows_the_cancellation() -> None:
    draining, drained = asyncio.Event(), []

    async def drain() -> bool:
        if not draining.is_set():
            draining.set()
            with suppress(asyncio.CancelledError):  # as a client library was seen to do (2026-11-23)
                await asyncio.Event().wait()
        drained.append("once more")
        return True

    behind = Behind(drain, pause_s=0.0)
    behind.start()
    behind.wake()
    await draining.wait()
    async with asyncio.timeout(30):
        assert await behind.stop()
    assert drained == ["once more", "once more"]


async def test_it_may_be_started_again() -> None:
    drained = asyncio.Event()

    async def drain() -> bool:
        drained.set()
        return True

    behind = Behind(drain, pause_s=0.0)
    behind.start()
    await behind.stop()
    drained.clear()
    behind.start()
    behind.wake()
    await drained.wait()
    await behind.stop()

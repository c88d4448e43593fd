"""Work that is done behind the request: one task with one owner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Behind:
    """Calls `drain` `pause_s` after a `wake`, and again every `pause_s` while `drain` returns False.

    `drain` does what is waiting, never raises, and says whether all of it is done. It never runs twice at once.
    """

    def __init__(self, drain: Callable[[], Awaitable[bool]], *, pause_s: float) -> None:
        self._drain = drain
        self._pause_s = pause_s
        self._woken = asyncio.Event()
        self._is_awake = False
        self._draining = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    def start(self) -> None:
        self._ending = False
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Nearly nothing if it is awake already: requests wake it that know nothing of each other."""
        if not self._is_awake:
            self._is_awake = True
            self._woken.set()

    async def flush(self) -> bool:
        """Drain now. True when nothing is left waiting."""
        async with self._draining:
            return await self._drain()

    async def stop(self) -> bool:
        """End the task and drain a last time. True when nothing was left behind."""
        if self._task is not None:
            self._ending = True  # a client library below `drain` may swallow the cancellation
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        return await self.flush()

    async def _run(self) -> None:
        while not self._ending:
            await self._woken.wait()
            await asyncio.sleep(self._pause_s)
            self._woken.clear()
            self._is_awake = False
            if not await self.flush():
                self.wake()

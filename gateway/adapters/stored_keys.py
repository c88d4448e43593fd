"""What a state server of one's own may have, so that it is not asked for what it surely has not.

Theory of operation. Nearly every miss would wait for Redis to say that there is nothing under a key that nobody has
ever put. But where the server is this process's alone (embedded, one worker), all that is in it was either there at the
start or was put here. Both are noted in a Bloom filter: three bits of 2 MiB for each key, at places that are taken from
its hash. A key one of whose bits is missing was never put; one whose bits are all there may have been, and is asked
for. With a million keys one in two hundred is asked for in vain.

*The start.* What the server had before is read with SCAN, a few keys at a time. Until that is done, and while it cannot
be done, every key may be there.

*What expires* stays noted. So when as many keys have been put as were reckoned with, all is read anew into another
filter, which every put notes as well from then on. What was put before is written first: SCAN promises to find only
what is there from its beginning to its end.

*A restart* of the server takes keys away and brings none, so it changes nothing here. Were the filter wrong all the
same, an answer that is stored would be paid for again; a wrong answer is not possible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.adapters.redis_client import RedisTrouble
from gateway.adapters.redis_keys import cached_answer
from gateway.adapters.redis_link import RedisLink

_PLACES = 2**24
_LAST = _PLACES - 1
_RECKONED_WITH = 1_000_000
_AT_ONCE = 500
"""So many keys are read at a time: half a millisecond of the loop."""
_PAUSE_S = 0.005
"""Between two readings, for who serves requests meanwhile."""
_RETRY_S = 1.0


class StoredKeys:
    """Of the answers behind `link`. `flush` returns when everything that was put has been written. Between `start` and
    `stop` a task of its own reads what is there."""

    def __init__(
        self, link: RedisLink, flush: Callable[[], Awaitable[None]], *, reckoned_with: int = _RECKONED_WITH
    ) -> None:
        self._link = link
        self._flush = flush
        self._reckoned_with = reckoned_with
        self._room = reckoned_with
        self._noted: bytearray | None = None
        self._coming: bytearray | None = None
        self._full = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def may_have(self, key: str) -> bool:
        """False: it was never put."""
        noted = self._noted
        if noted is None:
            return True
        number = hash(key)
        one, two, three = number & _LAST, number >> 20 & _LAST, number >> 40 & _LAST
        return bool(noted[one >> 3] >> (one & 7) & noted[two >> 3] >> (two & 7) & noted[three >> 3] >> (three & 7) & 1)

    def add(self, key: str) -> None:
        """Before it is sent."""
        if self._noted is not None:
            _note(self._noted, key)
        if self._coming is not None:
            _note(self._coming, key)
        self._room -= 1
        if self._room <= 0:
            self._full.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_reading())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_reading(self) -> None:
        while True:
            try:
                await self._read()
            except RedisTrouble:
                await asyncio.sleep(_RETRY_S)
            else:
                await self._full.wait()

    async def _read(self) -> None:
        """All that is there. Raises RedisTrouble."""
        self._coming = bytearray(_PLACES // 8)
        await self._flush()
        prefix, found, cursor = len(cached_answer("")), 0, b"0"
        while True:
            words = ("SCAN", cursor, "MATCH", cached_answer("*"), "COUNT", _AT_ONCE)
            cursor, keys = await self._link.ask("read", *words)
            for key in keys:
                _note(self._coming, key[prefix:].decode(errors="replace"))
            found += len(keys)
            if cursor == b"0":
                break
            await asyncio.sleep(_PAUSE_S)
        self._noted, self._coming = self._coming, None
        self._room = max(self._reckoned_with, found)  # of more keys than that, less than one is read for each put
        self._full.clear()


def _note(bits: bytearray, key: str) -> None:
    number = hash(key)
    for place in (number & _LAST, number >> 20 & _LAST, number >> 40 & _LAST):
        bits[place >> 3] |= 1 << (place & 7)

"""The exact cache: memory in front, Redis behind it and shared by all gateways. A broken Redis is a miss.

A value in Redis is eight bytes of expiry (unix milliseconds, big-endian) and the answer, so that a gateway that
takes it into its memory keeps it no longer than the one that stored it meant to.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from gateway.adapters.behind import Behind
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.redis_client import TIMEOUT_S, RedisClient, RedisTrouble
from gateway.adapters.redis_keys import cached_answer
from gateway.adapters.redis_link import RedisLink
from gateway.core.breaker import Breaker
from gateway.ports import Clock, Observer

MAX_VALUE_BYTES = 2**20
_EXPIRY = struct.Struct(">q")


@dataclass(frozen=True, slots=True)
class _Write:
    key: str
    value: bytes
    ttl_s: int


class RedisCache:
    """Implements `ports.Cache`. Between `start` and `stop` a task of its own writes to Redis.

    `max_waiting_bytes` bounds the values waiting to be written; beyond it new ones stay in memory only.
    """

    def __init__(
        self,
        client: RedisClient,
        memory: MemoryCache,
        clock: Clock,
        observer: Observer,
        *,
        timeout_s: float = TIMEOUT_S,
        max_waiting_bytes: int = 16 * 2**20,
        breaker: Breaker | None = None,
    ) -> None:
        self._client = client
        self._memory = memory
        self._clock = clock
        self._link = RedisLink(client, "exact_cache", clock, observer, timeout_s=timeout_s, breaker=breaker)
        self._behind = Behind(self._write_waiting, pause_s=0)
        self._waiting: deque[_Write] = deque()
        self._waiting_bytes = 0
        self._max_waiting_bytes = max_waiting_bytes
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Values that never reached Redis: it was broken, refused them, or too many were waiting."""
        return self._dropped

    @property
    def redis_answers(self) -> bool:
        """Whether Redis is believed to answer (the breaker is closed)."""
        return self._link.is_closed

    def start(self) -> None:
        self._link.start()
        self._behind.start()

    async def stop(self) -> None:
        """Write what is waiting, once. The client is not closed: it is not ours."""
        await self._behind.stop()
        await self._link.stop()

    async def flush(self) -> None:
        """Return when everything put so far was written to Redis or given up."""
        await self._behind.flush()

    async def get(self, key: str) -> bytes | None:
        value = self._memory.get(key)
        return value if value is not None else await self._get_from_redis(key)

    async def put(self, key: str, value: bytes, ttl_s: int) -> None:
        """Readable here at once, by other gateways soon. Values over MAX_VALUE_BYTES are not stored."""
        if len(value) > MAX_VALUE_BYTES or ttl_s <= 0:
            return
        self._memory.put(key, value, ttl_s)
        if self._waiting_bytes + len(value) > self._max_waiting_bytes:
            self._dropped += 1
            self._link.health.broken("queue full", f"over {self._max_waiting_bytes} bytes wait to be written")
            return
        self._waiting.append(_Write(key, value, ttl_s))
        self._waiting_bytes += len(value)
        self._behind.wake()

    async def _get_from_redis(self, key: str) -> bytes | None:
        try:
            stored = await self._link.call("read", lambda: self._client.get(cached_answer(key)))
        except RedisTrouble:
            return None
        if not isinstance(stored, bytes) or len(stored) < _EXPIRY.size:
            return None
        value = stored[_EXPIRY.size :]
        self._memory.put(key, value, _EXPIRY.unpack_from(stored)[0] / 1000 - self._clock.unix_s())
        return value

    async def _write_waiting(self) -> bool:
        while self._waiting:
            write = self._waiting.popleft()
            self._waiting_bytes -= len(write.value)
            try:
                await self._write(write)
            except RedisTrouble:
                self._dropped += 1
        self._link.health.mended("queue full")
        return True

    async def _write(self, write: _Write) -> None:
        stored = _EXPIRY.pack(int((self._clock.unix_s() + write.ttl_s) * 1000)) + write.value
        await self._link.call("write", lambda: self._client.set(cached_answer(write.key), stored, ex=write.ttl_s))

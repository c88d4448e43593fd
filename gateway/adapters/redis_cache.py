"""The exact cache: memory in front, Redis behind it and shared by all gateways. A broken Redis is a miss.

A value in Redis is its expiry (unix milliseconds) and its owner before the answer, so that a gateway that takes it into
its memory keeps it no longer than the one that stored it meant to, and knows whose it is.

Theory of forgetting. Each write also lists the answer in a sorted set of its owner, so that `forget` deletes exactly
an owner's answers without a SCAN over a keyspace that is mostly others'. A generation number in the keys would be
cheaper to raise, but every read would have to know it, and the answers would stay in Redis until they expire: who
deletes wants them gone. Listing costs nothing on the way to an answer, because writes happen behind, and it is part of
the write. What has expired is taken off the list at the next write.

Other gateways keep what they already have in memory until it expires: at most the entry's own time to live.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.adapters.behind import Behind
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.redis_client import TIMEOUT_S, RedisClient, RedisTrouble
from gateway.adapters.redis_keys import ANSWER_OWNERS, LONGEST_TTL_S, answers_of, cached_answer
from gateway.adapters.redis_link import RedisLink
from gateway.adapters.redis_wire import Word
from gateway.adapters.stored_keys import StoredKeys
from gateway.core.breaker import Breaker
from gateway.ports import Clock, Observer

MAX_VALUE_BYTES = 2**20
_HEAD = struct.Struct(">qH")
"""The expiry, and the bytes of the owner's name that follow."""
_AT_ONCE = 500
_WRITTEN_AT_ONCE = 64
_WRITTEN_AT_ONCE_BYTES = 256 * 2**10
_LINGER_S = 0.02
"""So long writes are gathered: under load one round trip, and one look at who owns what, serves several."""


@dataclass(slots=True)
class _Write:
    key: str
    value: bytes
    ttl_s: int
    owner: str


class RedisCache:
    """Implements `ports.Cache`. Between `start` and `stop` a task of its own writes to Redis.

    `max_waiting_bytes` bounds the values waiting to be written; beyond it new ones stay in memory only. `alone`: nobody
    else writes answers to this server, so that what was never put need not be asked for.
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
        alone: bool = False,
    ) -> None:
        self._client = client
        self._memory = memory
        self._clock = clock
        self._link = RedisLink(client, "exact_cache", clock, observer, timeout_s=timeout_s, breaker=breaker)
        self._behind = Behind(self._write_waiting, pause_s=_LINGER_S)
        self._waiting: dict[str, _Write] = {}
        self._waiting_bytes = 0
        self._max_waiting_bytes = max_waiting_bytes
        self._dropped = 0
        self._stored = StoredKeys(self._link, self.flush) if alone else None
        self.may_have: Callable[[str], bool] = self._stored.may_have if self._stored is not None else _perhaps
        """As `ports.Cache`."""

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
        if self._stored is not None:
            self._stored.start()

    async def stop(self) -> None:
        """Write what is waiting, once. The client is not closed: it is not ours."""
        if self._stored is not None:
            await self._stored.stop()
        await self._behind.stop()
        await self._link.stop()

    async def flush(self) -> None:
        """Return when everything put so far was written to Redis or given up."""
        await self._behind.flush()

    def at_hand(self, key: str) -> bytes | None:
        value = self._memory.get(key)
        if value is None and key in self._waiting:
            return self._waiting[key].value  # what the memory has no room for is on its way
        return value

    async def get(self, key: str) -> bytes | None:
        value = self.at_hand(key)
        if value is not None or not self.may_have(key):
            return value
        try:
            return self._taken(key, await self._link.ask("read", "GET", cached_answer(key)))
        except RedisTrouble:
            return None

    async def put(self, key: str, value: bytes, ttl_s: int, owner: str = "") -> None:
        """Readable here at once, by other gateways soon. Values over MAX_VALUE_BYTES are not stored."""
        size_bytes = len(value)
        if size_bytes > MAX_VALUE_BYTES or ttl_s <= 0:
            return
        self._memory.put(key, value, ttl_s, owner)
        if self._waiting_bytes + size_bytes > self._max_waiting_bytes:
            self._dropped += 1
            self._link.health.broken("queue full", f"over {self._max_waiting_bytes} bytes wait to be written")
            return
        if self._stored is not None:
            self._stored.add(key)
        if not self._waiting:
            self._behind.wake()
        elif key in self._waiting:
            self._waiting_bytes -= len(self._waiting.pop(key).value)
        self._waiting_bytes += size_bytes
        self._waiting[key] = _Write(key, value, ttl_s, owner)

    async def forget(self, owner: str | None = None, key: str | None = None) -> int | None:
        """What waits to be written is written first, and then found in Redis."""
        here = self._memory.forget(owner, key)
        await self.flush()
        try:
            if key is not None:
                there = await self._forget_one(owner, key)
            else:
                owners = await self._owners() if owner is None else [owner]
                there = sum([await self._forget_all(one) for one in owners])
        except RedisTrouble:
            return None
        self._memory.forget(owner, key)  # what a look-up may have taken from Redis meanwhile
        return max(here, there)

    async def _forget_one(self, owner: str | None, key: str) -> int:
        """The list proves whose it is. A name that stays on a list after its answer is gone expires there."""
        if owner is not None:
            listed = await self._link.call("write", lambda: self._client.zscore(answers_of(owner), key))
            if listed is None:
                return 0
        return await self._unlink([key])

    async def _forget_all(self, owner: str) -> int:
        count = 0
        while digests := await self._link.call("read", lambda: self._client.zrange(answers_of(owner), 0, _AT_ONCE - 1)):
            count += await self._unlink([_text(digest) for digest in digests])
            await self._link.call("write", lambda: self._client.zrem(answers_of(owner), *digests))
        return count

    async def _owners(self) -> list[str]:
        found = await self._link.call("read", lambda: self._client.zrange(ANSWER_OWNERS, 0, -1))
        return [_text(owner) for owner in found]

    async def _unlink(self, digests: Sequence[str]) -> int:
        pipeline = self._client.pipeline(transaction=False)
        for digest in digests:
            pipeline.unlink(cached_answer(digest))
        return sum(await self._link.call("write", pipeline.execute))

    def _taken(self, key: str, stored: object) -> bytes | None:
        """The value of what Redis has; from now on it is in memory too."""
        if not isinstance(stored, bytes) or len(stored) < _HEAD.size:
            return None
        expiry_ms, owner_bytes = _HEAD.unpack_from(stored)
        owner, value = stored[_HEAD.size :][:owner_bytes], stored[_HEAD.size + owner_bytes :]
        self._memory.put(key, value, expiry_ms / 1000 - self._clock.unix_s(), owner.decode(errors="replace"))
        return value

    async def _write_waiting(self) -> bool:
        while self._waiting:
            few = self._next_few()
            try:
                await self._write(few)
            except RedisTrouble:
                self._dropped += len(few)
            self._done_with(few)
        self._link.health.mended("queue full")
        return True

    def _next_few(self) -> list[_Write]:
        """The oldest; look-ups wait behind them, so not too much at once."""
        if len(self._waiting) <= _WRITTEN_AT_ONCE and self._waiting_bytes <= _WRITTEN_AT_ONCE_BYTES:
            return list(self._waiting.values())
        few: list[_Write] = []
        size_bytes = 0
        for write in islice(self._waiting.values(), _WRITTEN_AT_ONCE):
            size_bytes += len(write.value)
            if few and size_bytes > _WRITTEN_AT_ONCE_BYTES:
                break
            few.append(write)
        return few

    def _done_with(self, few: Sequence[_Write]) -> None:
        """Written or given up, unless another value of the same key has come meanwhile."""
        for write in few:
            if self._waiting[write.key] is write:
                del self._waiting[write.key]
                self._waiting_bytes -= len(write.value)

    async def _write(self, few: Sequence[_Write]) -> None:
        """Whose they are is kept once for each owner among them, and what has expired is taken off."""
        now_s = self._clock.unix_s()
        listed: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for write in few:
            listed[write.owner][write.key] = now_s + write.ttl_s
        latest_s = {owner: max(keys.values()) for owner, keys in listed.items()}
        commands: list[tuple[Word, ...]] = [("ZADD", ANSWER_OWNERS, "GT", *_scored(latest_s))]
        commands += [("ZADD", answers_of(owner), *_scored(keys)) for owner, keys in listed.items()]
        for name in (ANSWER_OWNERS, *map(answers_of, listed)):
            commands += [("ZREMRANGEBYSCORE", name, "-inf", now_s), ("EXPIRE", name, LONGEST_TTL_S)]
        owners = {owner: owner.encode() for owner in listed}
        for write in few:
            owner = owners[write.owner]
            head = _HEAD.pack(int((now_s + write.ttl_s) * 1000), len(owner))
            commands.append(
                ("SET", cached_answer(write.key), b"%b%b%b" % (head, owner, write.value), "EX", write.ttl_s)
            )
        await self._link.ask_all("write", commands)


def _perhaps(key: str) -> bool:
    """What others put, too, may be there."""
    return True


def _scored(members: Mapping[str, float]) -> list[Word]:
    return [word for member, score in members.items() for word in (score, member)]


def _text(member: object) -> str:
    return member.decode() if isinstance(member, bytes) else str(member)

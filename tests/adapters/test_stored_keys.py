from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.redis_cache import RedisCache
from gateway.adapters.redis_client import RedisClient, connect
from gateway.adapters.redis_keys import cached_answer
from gateway.adapters.redis_link import RedisLink
from gateway.adapters.stored_keys import StoredKeys
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S, Valkey

NewCache = Callable[[RedisClient], RedisCache]


@pytest.fixture
def new_cache(hand_clock: HandClock, told: EventList) -> NewCache:
    """A cache that is alone with its server, and keeps nothing in memory."""
    memory = MemoryCache(hand_clock, max_bytes=0)
    return lambda client: RedisCache(client, memory, hand_clock, told, timeout_s=PATIENT_S, alone=True)


@pytest.fixture
async def cache(redis_client: RedisClient, new_cache: NewCache) -> AsyncIterator[RedisCache]:
    one = new_cache(redis_client)
    one.start()
    yield one
    await one.stop()


@pytest.fixture
def link(redis_client: RedisClient, hand_clock: HandClock, told: EventList) -> RedisLink:
    return RedisLink(redis_client, "exact_cache", hand_clock, told, timeout_s=PATIENT_S)


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


async def have_been_read(keys: RedisCache | StoredKeys) -> None:
    """Return when a key that was never put is known for one. (Not always the same: it may be taken for another.)"""
    for stranger in range(-1, -10_000_000, -1):
        if not keys.may_have(key(stranger)):
            return
        await asyncio.sleep(0)


async def is_forgotten(keys: StoredKeys, key: str) -> None:
    while keys.may_have(key):  # noqa: ASYNC110  # nothing but the answer says that it has been read anew
        await asyncio.sleep(0)


async def asked_for(client: RedisClient) -> int:
    """How many GETs the server has answered."""
    counts = await client.info("commandstats")
    return int(counts.get("cmdstat_get", {}).get("calls", 0))


async def nothing_to_flush() -> None:
    """Whoever writes here does it at once."""


async def test_until_the_server_has_been_read_every_key_may_be_there(
    redis_client: RedisClient, new_cache: NewCache
) -> None:
    assert new_cache(redis_client).may_have(key(1))


async def test_what_was_never_put_is_not_asked_for(cache: RedisCache, redis_client: RedisClient) -> None:
    await have_been_read(cache)
    before = await asked_for(redis_client)
    found = [await cache.get(key(number)) for number in range(100)]
    assert found == [None] * 100
    assert await asked_for(redis_client) == before


async def test_what_was_put_is_found(cache: RedisCache) -> None:
    await have_been_read(cache)
    for number in range(100):
        await cache.put(key(number), b"answer", 60)
    await cache.flush()
    assert [await cache.get(key(number)) for number in range(100)] == [b"answer"] * 100


async def test_what_was_put_while_the_server_is_read_is_found(redis_client: RedisClient, new_cache: NewCache) -> None:
    one = new_cache(redis_client)
    await one.put(key(1), b"before", 60)
    one.start()
    await one.put(key(2), b"meanwhile", 60)
    await have_been_read(one)
    await one.flush()
    assert [await one.get(key(1)), await one.get(key(2))] == [b"before", b"meanwhile"]
    await one.stop()


async def test_the_next_gateway_finds_what_the_last_one_put(
    cache: RedisCache, redis_client: RedisClient, new_cache: NewCache
) -> None:
    for number in range(3_000):
        await cache.put(key(number), b"answer", 60)
    await cache.flush()
    following = new_cache(redis_client)
    following.start()
    await have_been_read(following)
    assert all(following.may_have(key(number)) for number in range(3_000))
    assert await following.get(key(2_999)) == b"answer"
    await following.stop()


async def test_a_server_that_was_killed_and_is_back_is_asked_for_what_it_kept(
    own_valkey: Callable[..., Valkey], new_cache: NewCache
) -> None:
    valkey = own_valkey("--appendonly", "yes", "--appendfsync", "always")
    client = connect(valkey.url, timeout_s=PATIENT_S)
    cache = new_cache(client)
    cache.start()
    await have_been_read(cache)
    await cache.put(key(1), b"answer", 60)
    await cache.flush()
    valkey.kill()
    valkey.start()
    while await cache.get(key(1)) != b"answer":  # the first may still meet the lost connection
        pass
    await cache.stop()
    await client.aclose()


async def test_it_is_read_once_the_server_answers(own_valkey: Callable[..., Valkey], new_cache: NewCache) -> None:
    valkey = own_valkey("--appendonly", "yes", "--appendfsync", "always")
    client = connect(valkey.url)
    await client.set(cached_answer(key(1)), b"answer", ex=60)
    valkey.kill()
    cache = new_cache(client)
    cache.start()
    assert cache.may_have(key(1))
    valkey.start()
    await have_been_read(cache)
    assert cache.may_have(key(1))
    await cache.stop()
    await client.aclose()


async def test_with_many_puts_it_is_read_anew_and_forgets_what_is_gone(
    redis_client: RedisClient, link: RedisLink
) -> None:
    keys = StoredKeys(link, nothing_to_flush, reckoned_with=10)
    keys.start()
    await have_been_read(keys)
    for number in range(9):
        keys.add(key(number))
    await redis_client.set(cached_answer(key(9)), b"answer", ex=60)
    assert keys.may_have(key(0))
    keys.add(key(9))
    await is_forgotten(keys, key(0))
    assert keys.may_have(key(9))
    await keys.stop()


async def test_what_waits_to_be_written_when_it_is_read_anew_is_kept(
    redis_client: RedisClient, link: RedisLink
) -> None:
    async def flush() -> None:
        await redis_client.set(cached_answer(key(1)), b"answer", ex=60)

    keys = StoredKeys(link, flush, reckoned_with=1)
    keys.start()
    await have_been_read(keys)
    await redis_client.flushall()
    keys.add(key(0))
    keys.add(key(1))
    await is_forgotten(keys, key(0))
    assert keys.may_have(key(1))
    await keys.stop()


async def test_of_a_million_keys_few_are_taken_for_stored(link: RedisLink) -> None:
    keys = StoredKeys(link, nothing_to_flush)
    keys.start()
    await have_been_read(keys)
    for number in range(100_000):
        keys.add(key(number))
    wrongly = sum(keys.may_have(key(-number)) for number in range(1, 10_001))
    assert wrongly < 20, "a tenth as full, a thousandth as often"
    await keys.stop()


async def test_a_server_that_others_write_to_is_always_asked(
    redis_client: RedisClient, hand_clock: HandClock, told: EventList
) -> None:
    one, other = (
        RedisCache(redis_client, MemoryCache(hand_clock), hand_clock, told, timeout_s=PATIENT_S) for _ in "12"
    )
    for cache in (one, other):
        cache.start()
    await one.put(key(1), b"answer", 60)
    await one.flush()
    assert await other.get(key(1)) == b"answer"
    for cache in (one, other):
        await cache.stop()

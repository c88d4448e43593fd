from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.redis_cache import MAX_VALUE_BYTES, RedisCache
from gateway.adapters.redis_client import RedisClient, connect
from gateway.core.breaker import Breaker
from gateway.core.events import Degraded, Recovered
from gateway.ports import Observer
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S, EventQueue, Valkey


@pytest.fixture
def new_cache(redis_client: RedisClient, hand_clock: HandClock, told: EventList) -> Callable[[], RedisCache]:
    """Caches of several gateways on one Redis."""
    return lambda: RedisCache(redis_client, MemoryCache(hand_clock), hand_clock, told, timeout_s=PATIENT_S)


@pytest.fixture
async def broken_valkey(own_valkey: Callable[..., Valkey]) -> AsyncIterator[tuple[Valkey, RedisClient]]:
    """A server for a test to break, and a client with the waits of production."""
    valkey = own_valkey()
    client = connect(valkey.url)
    yield valkey, client
    await client.aclose()


def cache_on(client: RedisClient, clock: HandClock, told: Observer) -> RedisCache:
    return RedisCache(client, MemoryCache(clock), clock, told, breaker=Breaker(threshold=3, open_s=1.0))


async def test_what_was_put_is_got_at_once_and_by_another_gateway_after_a_flush(
    new_cache: Callable[[], RedisCache],
) -> None:
    one, other = new_cache(), new_cache()
    await one.put("a", b"answer", 60)
    assert await one.get("a") == b"answer"
    await one.flush()
    assert await other.get("a") == b"answer"


async def test_a_started_cache_writes_without_being_asked_to(new_cache: Callable[[], RedisCache]) -> None:
    one, other = new_cache(), new_cache()
    one.start()
    await one.put("a", b"answer", 60)
    while await other.get("a") is None:
        pass
    await one.stop()


async def test_stopping_writes_what_is_waiting(new_cache: Callable[[], RedisCache]) -> None:
    one, other = new_cache(), new_cache()
    one.start()
    await one.put("a", b"answer", 60)
    await one.stop()
    assert await other.get("a") == b"answer"


async def test_a_key_that_was_never_put_is_a_miss(new_cache: Callable[[], RedisCache]) -> None:
    assert await new_cache().get("a") is None


async def test_the_second_read_of_a_gateway_does_not_ask_redis(
    new_cache: Callable[[], RedisCache], redis_client: RedisClient
) -> None:
    one, other = new_cache(), new_cache()
    await one.put("a", b"answer", 60)
    await one.flush()
    await other.get("a")
    await redis_client.flushall()
    assert await other.get("a") == b"answer"


async def test_a_gateway_keeps_what_it_found_in_redis_no_longer_than_it_was_stored_for(
    new_cache: Callable[[], RedisCache], redis_client: RedisClient, hand_clock: HandClock
) -> None:
    one, other = new_cache(), new_cache()
    await one.put("a", b"answer", 60)
    await one.flush()
    hand_clock.now_s += 50
    assert await other.get("a") == b"answer"
    await redis_client.flushall()
    hand_clock.now_s += 10
    assert await other.get("a") is None


async def test_every_key_has_a_ttl_in_redis(new_cache: Callable[[], RedisCache], redis_client: RedisClient) -> None:
    cache = new_cache()
    await cache.put("a", b"answer", 60)
    await cache.flush()
    assert 0 < await redis_client.ttl("thriftgate:answer:a") <= 60
    assert all([await redis_client.ttl(key) > 0 for key in await redis_client.keys("*")])


async def kept(cache: RedisCache, *owners: str) -> None:
    """Two answers of each owner, in Redis."""
    for owner in owners:
        for number in (1, 2):
            await cache.put(f"{owner}{number}", b"answer", 60, owner)
    await cache.flush()


async def test_an_owners_answers_are_forgotten_and_no_others(new_cache: Callable[[], RedisCache]) -> None:
    one = new_cache()
    await kept(one, "a", "b")
    assert await one.forget("a") == 2
    for cache in (one, new_cache()):
        assert [await cache.get(key) for key in ("a1", "a2", "b1", "b2")] == [None, None, b"answer", b"answer"]


async def test_one_answer_is_forgotten_by_its_owner_only(new_cache: Callable[[], RedisCache]) -> None:
    one = new_cache()
    await kept(one, "a", "b")
    assert [await new_cache().forget("b", "a1"), await one.forget("b", "a1")] == [0, 0]
    assert await new_cache().get("a1") == b"answer"
    assert await one.forget("a", "a1") == 1
    assert [await new_cache().get(key) for key in ("a1", "a2")] == [None, b"answer"]


async def test_everything_is_forgotten_whoever_owns_it(new_cache: Callable[[], RedisCache]) -> None:
    await kept(new_cache(), "a", "b:c", "")
    other = new_cache()
    assert await other.get("a1") == b"answer"
    assert await other.forget() == 6
    assert [await other.get(key) for key in ("a1", "b:c2", "1")] == [None] * 3


async def test_what_still_waits_to_be_written_is_forgotten_too(new_cache: Callable[[], RedisCache]) -> None:
    one = new_cache()
    await one.put("a", b"answer", 60, "a")
    assert await one.forget("a") == 1
    await one.flush()
    assert await new_cache().get("a") is None


async def test_another_gateway_forgets_in_redis_what_this_one_keeps_until_its_time_is_over(
    new_cache: Callable[[], RedisCache], hand_clock: HandClock
) -> None:
    one, other = new_cache(), new_cache()
    await kept(one, "a")
    await other.forget("a")
    assert await one.get("a1") == b"answer"  # the stated bound
    hand_clock.now_s += 60
    assert await one.get("a1") is None


async def test_an_answer_found_in_redis_is_forgotten_here_as_well(new_cache: Callable[[], RedisCache]) -> None:
    one, other = new_cache(), new_cache()
    await kept(one, "a")
    assert await other.get("a1") == b"answer"
    await other.forget("a")
    assert await other.get("a1") is None


async def test_the_list_of_an_owner_does_not_grow_with_what_has_expired(
    new_cache: Callable[[], RedisCache], redis_client: RedisClient, hand_clock: HandClock
) -> None:
    one = new_cache()
    await kept(one, "a")
    hand_clock.now_s += 61
    await one.put("a3", b"answer", 60, "a")
    await one.flush()
    assert await redis_client.zrange("thriftgate:answers-of:a", 0, -1) == [b"a3"]


async def test_forgetting_without_redis_says_so(
    broken_valkey: tuple[Valkey, RedisClient], hand_clock: HandClock, told: EventList
) -> None:
    valkey, client = broken_valkey
    cache = cache_on(client, hand_clock, told)
    await cache.put("a", b"answer", 60, "a")
    valkey.kill()
    assert await cache.forget("a") is None
    assert await cache.get("a") is None


async def test_a_value_over_1_mib_is_not_stored(new_cache: Callable[[], RedisCache]) -> None:
    cache = new_cache()
    await cache.put("largest", bytes(MAX_VALUE_BYTES), 60)
    await cache.put("larger", bytes(MAX_VALUE_BYTES + 1), 60)
    assert len(await cache.get("largest") or b"") == MAX_VALUE_BYTES
    assert await cache.get("larger") is None


async def test_something_else_under_our_key_is_a_miss(
    new_cache: Callable[[], RedisCache], redis_client: RedisClient
) -> None:
    await redis_client.set("thriftgate:answer:short", b"123", ex=60)
    await redis_client.lpush("thriftgate:answer:list", b"123")
    assert await new_cache().get("short") is None
    assert await new_cache().get("list") is None


async def test_more_than_may_wait_stays_in_memory_and_is_counted_and_told(
    redis_client: RedisClient, hand_clock: HandClock, told: EventList
) -> None:
    memory = MemoryCache(hand_clock)
    cache = RedisCache(redis_client, memory, hand_clock, told, timeout_s=PATIENT_S, max_waiting_bytes=1_000)
    for key in "abc":
        await cache.put(key, bytes(600), 60)
    assert cache.dropped == 2
    assert await cache.get("c") == bytes(600)
    await cache.flush()
    assert told.events == [
        Degraded("exact_cache", "queue full: over 1000 bytes wait to be written"),
        Recovered("exact_cache"),
    ]


async def test_a_frozen_redis_is_a_miss_and_opens_the_breaker_and_is_told_once(
    broken_valkey: tuple[Valkey, RedisClient], hand_clock: HandClock, told: EventList
) -> None:
    valkey, client = broken_valkey
    cache = cache_on(client, hand_clock, told)
    valkey.freeze()
    assert [await cache.get("a") for _ in range(20)] == [None] * 20
    assert not cache.redis_answers
    assert [type(event) for event in told.events] == [Degraded]


async def test_many_at_once_on_a_frozen_redis_are_all_misses_and_told_once(
    broken_valkey: tuple[Valkey, RedisClient], hand_clock: HandClock, told: EventList
) -> None:
    valkey, client = broken_valkey
    cache = cache_on(client, hand_clock, told)
    valkey.freeze()
    assert await asyncio.gather(*(cache.get(str(number)) for number in range(200))) == [None] * 200
    assert [type(event) for event in told.events] == [Degraded]


async def test_a_killed_redis_is_a_miss_and_memory_goes_on(
    broken_valkey: tuple[Valkey, RedisClient], hand_clock: HandClock, told: EventList
) -> None:
    valkey, client = broken_valkey
    cache = cache_on(client, hand_clock, told)
    valkey.kill()
    await cache.put("a", b"answer", 60)
    await cache.flush()
    assert await cache.get("a") == b"answer"
    assert await cache.get("b") is None
    assert cache.dropped == 1


async def test_when_redis_is_back_a_started_cache_notices_by_itself(
    broken_valkey: tuple[Valkey, RedisClient], hand_clock: HandClock
) -> None:
    valkey, client = broken_valkey
    told = EventQueue()
    cache = cache_on(client, hand_clock, told)
    cache.start()
    valkey.freeze()
    for _ in range(3):
        await cache.get("a")
    assert not cache.redis_answers
    valkey.thaw()
    assert isinstance(await told.next(), Degraded)
    assert isinstance(await told.next(), Recovered)
    assert cache.redis_answers
    await cache.stop()


async def test_without_its_task_a_cache_asks_again_when_the_breaker_half_opens(
    broken_valkey: tuple[Valkey, RedisClient], hand_clock: HandClock, told: EventList
) -> None:
    valkey, client = broken_valkey
    cache = cache_on(client, hand_clock, told)
    valkey.kill()
    for _ in range(3):
        await cache.get("a")
    valkey.start()
    assert await cache.get("a") is None
    assert not cache.redis_answers
    hand_clock.now_s += 1.0
    while not cache.redis_answers:  # a probe may still be too slow on a loaded machine
        await cache.get("a")
        hand_clock.now_s += 1.0
    assert told.events[-1] == Recovered("exact_cache")


async def test_a_full_redis_still_answers_reads_and_is_told_once(
    own_valkey: Callable[..., Valkey], hand_clock: HandClock, told: EventList
) -> None:
    client = connect(own_valkey("--maxmemory", "1mb", "--maxmemory-policy", "noeviction").url, timeout_s=PATIENT_S)
    one, other = (RedisCache(client, MemoryCache(hand_clock), hand_clock, told, timeout_s=PATIENT_S) for _ in range(2))
    for number in range(40):
        await one.put(str(number), bytes(100_000), 60)
        await one.flush()
    assert one.dropped >= 30
    assert one.redis_answers
    assert told.events == [Degraded("exact_cache", "write refused: OutOfMemoryError")]
    assert await other.get("39") is None
    await client.aclose()


async def test_what_the_memory_has_no_room_for_is_readable_on_its_way(
    redis_client: RedisClient, hand_clock: HandClock, told: EventList
) -> None:
    cache = RedisCache(redis_client, MemoryCache(hand_clock, max_bytes=0), hand_clock, told, timeout_s=PATIENT_S)
    await cache.put("k", b"first", ttl_s=60)
    await cache.put("k", b"second", ttl_s=60)
    assert await cache.get("k") == b"second"
    await cache.flush()
    assert await cache.get("k") == b"second"
    await cache.stop()


async def test_many_large_values_all_arrive(redis_client: RedisClient, hand_clock: HandClock, told: EventList) -> None:
    cache = RedisCache(redis_client, MemoryCache(hand_clock, max_bytes=0), hand_clock, told, timeout_s=PATIENT_S)
    values = {f"k{number}": bytes([number]) * 200_000 for number in range(10)}
    for key, value in values.items():
        await cache.put(key, value, ttl_s=60)
    await cache.flush()
    assert {key: await cache.get(key) for key in values} == values
    assert cache.dropped == 0
    await cache.stop()

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.memory_cache import MemoryCache
from tests.fixtures.semantic import HandClock


def test_what_was_put_is_got(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock)
    cache.put("a", b"answer", 60)
    assert cache.get("a") == b"answer"
    assert cache.get("b") is None


def test_an_entry_is_gone_when_its_time_is_over(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock)
    cache.put("a", b"answer", 60)
    hand_clock.now_s += 59.9
    assert cache.get("a") == b"answer"
    hand_clock.now_s += 0.1
    assert cache.get("a") is None
    assert cache.size_bytes == 0


def test_the_least_recently_used_goes_first(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock, max_entries=2)
    cache.put("a", b"1", 60)
    cache.put("b", b"2", 60)
    cache.get("a")
    cache.put("c", b"3", 60)
    assert [cache.get(key) for key in "abc"] == [b"1", None, b"3"]


def test_bytes_are_bounded_whatever_the_number_of_entries(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock, max_bytes=10_000)
    for key in "abcde":
        cache.put(key, bytes(3_000), 60)
    assert len(cache) == 3
    assert cache.size_bytes <= 10_000


def test_a_value_that_can_never_fit_throws_nothing_else_out(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock, max_bytes=10_000)
    cache.put("a", b"1", 60)
    cache.put("b", bytes(10_001), 60)
    assert cache.get("a") == b"1"
    assert cache.get("b") is None


def test_putting_again_replaces_and_is_counted_once(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock)
    cache.put("a", bytes(1_000), 60)
    first = cache.size_bytes
    cache.put("a", bytes(1_000), 60)
    assert cache.size_bytes == first


def test_a_value_whose_time_is_over_replaces_the_old_one_by_nothing(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock)
    cache.put("a", b"old", 60)
    cache.put("a", b"new", 0)
    assert cache.get("a") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3_000), st.integers(-1, 9)), max_size=60))
def test_whatever_is_put_the_caps_hold_and_an_empty_cache_weighs_nothing(puts: list[tuple[str, int, int]]) -> None:
    clock = HandClock()
    cache = MemoryCache(clock, max_bytes=6_000, max_entries=4)
    for key, size_bytes, ttl_s in puts:
        cache.put(key, bytes(size_bytes), ttl_s)
        assert cache.size_bytes <= 6_000
        assert len(cache) <= 4
        clock.now_s += 1
    clock.now_s += 10
    assert all(cache.get(key) is None for key in "abcdef")
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_a_smaller_bound_drops_the_least_recently_used_at_once(hand_clock: HandClock) -> None:
    cache = MemoryCache(hand_clock, max_bytes=10_000)
    cache.put("old", b"x" * 1_000, 60)
    cache.put("new", b"x" * 1_000, 60)
    cache.resize(2_000)
    assert (cache.get("old"), cache.get("new")) == (None, b"x" * 1_000)
    cache.resize(0)
    assert len(cache) == 0

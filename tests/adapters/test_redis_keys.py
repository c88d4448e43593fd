from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from gateway.adapters.redis_keys import beyond_ms, door_keys, epoch_key, meter_keys
from gateway.core.budget import LATE_MS, SETTLED_KEPT_MS, Budget
from gateway.core.window import WindowKind, WindowRule, WindowStyle, window_of

KINDS = st.sampled_from(get_args(WindowKind))
MOMENTS = st.integers(0, 4_000_000_000)


@given(st.text(min_size=1), KINDS, MOMENTS)
def test_all_keys_of_a_service_are_in_one_slot_whatever_its_name(service: str, kind: WindowKind, at_s: int) -> None:
    budget = Budget(service, WindowRule(kind))
    keys, later = (meter_keys(service, budget.meter(moment_s)) for moment_s in (at_s, at_s + 10**8))
    names = [keys.sums, keys.leases, keys.holds, later.sums]
    assert len({key_slot(name.encode()) for name in names}) == 1
    assert len(set(names)) == 4


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_services_never_share_a_key(one: str, other: str) -> None:
    ones, others = (Budget(account, WindowRule("day")).meter(0) for account in (one, other))
    assert (meter_keys("group", ones) == meter_keys("group", others)) == (one == other)
    assert (meter_keys(one, ones) == meter_keys(other, ones)) == (one == other)


@given(st.text(min_size=1), KINDS, MOMENTS)
def test_the_epoch_of_a_tag_is_in_the_slot_of_its_meters_and_none_of_them(
    tag: str, kind: WindowKind, at_s: int
) -> None:
    keys = meter_keys(tag, Budget("any", WindowRule(kind)).meter(at_s))
    assert key_slot(epoch_key(tag).encode()) == key_slot(keys.sums.encode())
    assert epoch_key(tag) not in (keys.sums, keys.leases, keys.holds)


@given(st.builds(WindowRule, KINDS, st.sampled_from(get_args(WindowStyle))), MOMENTS, st.integers(0, 86_400_000))
def test_meters_outlive_their_window_and_the_last_late_settle_in_it(rule: WindowRule, at_s: int, lease_ms: int) -> None:
    window = window_of(rule, at_s)
    assert beyond_ms(window, lease_ms) >= (window.end_s - window.start_s) * 1000
    assert beyond_ms(window, lease_ms) >= lease_ms + LATE_MS + SETTLED_KEPT_MS


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_keys_of_a_door_are_in_one_slot_and_no_other_services(one: str, other: str) -> None:
    keys = door_keys(one)
    assert key_slot(keys.admitted.encode()) == key_slot(keys.slots.encode())
    assert keys.admitted != keys.slots
    assert (keys == door_keys(other)) == (one == other)

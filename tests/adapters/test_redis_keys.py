from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from gateway.adapters.redis_keys import budget_expires_at_s, door_keys, meter_keys
from gateway.core.budget import LATE_MS, Budget
from gateway.core.window import WindowKind, WindowRule, window_of

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


@given(KINDS, MOMENTS, st.floats(0, 86_400))
def test_keys_outlive_their_window_and_the_last_late_settle_in_it(kind: WindowKind, at_s: int, lease_s: float) -> None:
    window = window_of(WindowRule(kind), at_s)
    expires_s = budget_expires_at_s(window, lease_s)
    assert expires_s >= window.end_s + (window.end_s - window.start_s)
    assert expires_s >= window.end_s + lease_s + LATE_MS / 1000


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_keys_of_a_door_are_in_one_slot_and_no_other_services(one: str, other: str) -> None:
    keys = door_keys(one)
    assert key_slot(keys.admitted.encode()) == key_slot(keys.slots.encode())
    assert keys.admitted != keys.slots
    assert (keys == door_keys(other)) == (one == other)

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from gateway.adapters.redis_keys import budget_expires_at_s, budget_keys
from gateway.core.budget import LATE_MS, WindowKind, window_of

KINDS = st.sampled_from(get_args(WindowKind))
MOMENTS = st.integers(0, 4_000_000_000)


@given(st.text(min_size=1), KINDS, MOMENTS)
def test_all_keys_of_a_service_are_in_one_slot_whatever_its_name(service: str, kind: WindowKind, at_s: int) -> None:
    keys, later = budget_keys(service, window_of(kind, at_s)), budget_keys(service, window_of(kind, at_s + 10**8))
    names = [keys.sums, keys.leases, keys.holds, later.sums]
    assert len({key_slot(name.encode()) for name in names}) == 1
    assert len(set(names)) == 4


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_services_never_share_a_key(one: str, other: str) -> None:
    window = window_of("day", 0)
    assert (budget_keys(one, window) == budget_keys(other, window)) == (one == other)


@given(KINDS, MOMENTS, st.floats(0, 86_400))
def test_keys_outlive_their_window_and_the_last_late_settle_in_it(kind: WindowKind, at_s: int, lease_s: float) -> None:
    window = window_of(kind, at_s)
    expires_s = budget_expires_at_s(window, lease_s)
    assert expires_s >= window.end_s + (window.end_s - window.start_s)
    assert expires_s >= window.end_s + lease_s + LATE_MS / 1000

from __future__ import annotations

import pytest

from gateway.core.sampling import is_chosen

IDS = [f"req_{number:032x}" for number in range(20_000)]


def test_the_share_holds_over_many_ids() -> None:
    assert sum(is_chosen(id, 0.01) for id in IDS) == pytest.approx(200, abs=60)


def test_the_same_id_is_always_chosen_or_never() -> None:
    assert [is_chosen(id, 0.3) for id in IDS[:50]] == [is_chosen(id, 0.3) for id in IDS[:50]]


def test_a_larger_share_keeps_whom_a_smaller_one_chose() -> None:
    assert all(is_chosen(id, 0.5) for id in IDS if is_chosen(id, 0.01))


def test_none_and_all_are_meant() -> None:
    assert not any(is_chosen(id, 0.0) for id in IDS)
    assert all(is_chosen(id, 1.0) for id in IDS)

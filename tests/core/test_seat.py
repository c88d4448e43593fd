from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.seat import Seat

COUNTS = st.integers(1, 64)


@given(st.integers(1, 10_000), COUNTS)
def test_shares_add_up_and_differ_by_one_at_most(of_all: int, count: int) -> None:
    shares = [Seat(number, count).share(of_all) for number in range(count)]
    assert sum(shares) == max(of_all, count)
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 10_000))
def test_who_sits_alone_has_everything(of_all: int) -> None:
    assert Seat().share(of_all) == of_all

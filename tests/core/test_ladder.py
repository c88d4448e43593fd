from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ladder import USUAL, Ladder, Rung

SHARES = st.none() | st.floats(0.01, 1.0)
LADDERS = st.builds(Ladder, SHARES, SHARES, SHARES)


@pytest.mark.parametrize(
    ("used", "level"),
    [(0.79, None), (0.8, "warn"), (0.9, "cheaper"), (0.999, "cheaper"), (1.0, "spent"), (1.3, "spent")],
)
def test_a_budget_stands_on_the_highest_rung_it_has_reached(used: float, level: str | None) -> None:
    assert USUAL.level(used) == level


def test_a_missing_rung_is_never_reached() -> None:
    assert Ladder(None, None, None).level(0.999) is None


@pytest.mark.parametrize(("rung", "share"), [("wanted", 0.7), ("cheaper", 0.8), ("wall", 1.0)])
def test_an_attempt_may_fill_a_limit_as_far_as_its_rung(rung: Rung, share: float) -> None:
    assert Ladder(0.5, 0.7, 0.8).share(rung) == share


@given(LADDERS)
def test_who_costs_less_may_go_at_least_as_far(ladder: Ladder) -> None:
    assert 0 < ladder.share("wanted") <= ladder.share("cheaper") <= ladder.share("wall") == 1.0

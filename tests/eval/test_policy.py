from __future__ import annotations

from gateway.core.forecast import Forecast
from gateway.core.policy import Judged, Policy, bounds_for
from gateway.offline.routing_sets import Outcome
from tests.eval.policy import Decided, Delivered, is_light

EASY = Outcome("Which is a mammal?", "s", light=1.0, strong=1.0)


def test_the_planner_itself_says_which_model_answers() -> None:
    policy = Policy(0.9, bounds=bounds_for(0.9, lambda target: 1 - target))
    assert is_light(EASY, Judged(Forecast(0.05, 0.5, 1.0)), policy)
    assert not is_light(EASY, Judged(Forecast(0.5, 0.5, 1.0)), policy)
    assert not is_light(EASY, Judged(Forecast(0.05, 0.5, 0.0)), policy)  # by rules medium, and there is none


def test_what_is_kept_is_a_share_of_always_strong() -> None:
    delivered = Delivered()
    for light in (True, False):
        delivered.add(Outcome("?", "s", light=0.5, strong=1.0), light)
    assert str(delivered) == "kept  75.0 %    50 % light   saved  45 %   of 2"


def test_both_tables_are_empty_before_a_fold() -> None:
    assert len(Decided().lines()) == 2

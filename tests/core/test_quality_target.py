from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.quality_target import delivered, threshold_for

LIGHT = np.array([1.0, 1.0, 0.0, 0.0])
STRONG = np.array([1.0, 1.0, 1.0, 1.0])
SCORES = np.array([0.1, 0.2, 0.3, 0.4])


def test_no_more_goes_to_the_strong_model_than_the_promise_needs() -> None:
    threshold = threshold_for(0.75, SCORES, LIGHT, STRONG)
    assert delivered(threshold, SCORES, LIGHT, STRONG) == (0.75, 0.25)


def test_a_promise_the_light_model_keeps_alone_sends_nothing() -> None:
    assert threshold_for(0.5, SCORES, LIGHT, STRONG) == float("inf")


def test_a_promise_of_everything_sends_what_can_gain() -> None:
    assert delivered(threshold_for(1.0, SCORES, LIGHT, STRONG), SCORES, LIGHT, STRONG) == (1.0, 0.5)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(-1, 1)), min_size=2, max_size=50), st.floats(0.5, 1))
def test_with_scores_all_apart_a_promise_is_kept_on_what_it_was_set_on(
    rows: list[tuple[bool, bool, float]], target: float
) -> None:
    light, strong, scores = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    scores = scores + np.arange(len(scores)) * 3  # no two alike
    if strong.sum() > 0:
        kept, _ = delivered(threshold_for(target, scores, light, strong), scores, light, strong)
        assert kept >= target - 1e-9

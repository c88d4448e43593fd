from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.answer_head import load
from gateway.core.answer_checks import answer_signs
from gateway.core.answer_head import AnswerHead, is_worked_sum

QUESTION = "Ann has 3 bags with 60 marbles each and loses 20. How many are left?"
RIGHT = "3 * 60 = 180 marbles in all.\n180 - 20 = 160 are left.\n#### 160"
WRONG = "She may have about 7 * 9 = 60 marbles, but 12 are unknown, let's say 77 x 5 = 12"


@pytest.mark.parametrize(
    ("question", "answer", "worked"),
    [
        (QUESTION, RIGHT, True),
        (QUESTION, "160", True),
        ("What was Grace's weight, 125 pounds or 130?", "125 + 5 = 130", True),
        ("What happened in 1939 and in 1945?", "The war began and ended.", False),
        ("How many planets are there?", "Eight.", False),
        ("Say hello.", "Hello!", False),
        (QUESTION + " " * 3_000, RIGHT, False),
    ],
)
def test_only_worked_sums_are_its_matter(question: str, answer: str, worked: bool) -> None:
    assert is_worked_sum(question, answer) == worked


def test_it_expects_more_of_the_strong_model_where_a_light_answer_adds_up_badly() -> None:
    head = load()
    assert head.gain(QUESTION, RIGHT) < head.threshold(0.98) < head.threshold(0.9) < head.gain(QUESTION, WRONG)
    assert head.fault(QUESTION, RIGHT, 0.98) is None
    assert head.fault(QUESTION, WRONG, 0.9) is not None


def test_between_two_targets_the_threshold_is_between_theirs() -> None:
    ones = np.ones(len(answer_signs("", "")), np.float32)
    head = AnswerHead(ones, ones, ones, 0.0, np.array([0.9, 0.98], np.float32), np.array([0.5, 0.1], np.float32))
    assert head.threshold(0.94) == pytest.approx(0.3, abs=1e-4)


@given(st.text(max_size=200), st.text(max_size=600))
def test_it_has_an_opinion_on_any_text(question: str, answer: str) -> None:
    assert np.isfinite(load().gain(question, answer))

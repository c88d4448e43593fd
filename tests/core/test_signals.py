from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.signals import SIGNALS, signals


def signal(name: str, text: str) -> float:
    return float(signals(text, len(text))[SIGNALS.index(name)])


@given(st.text(max_size=300), st.integers(0, 10**6))
def test_any_text_has_every_signal_and_all_are_finite(text: str, length_chars: int) -> None:
    values = signals(text, length_chars)
    assert values.shape == (len(SIGNALS),)
    assert np.isfinite(values).all()


def test_names_are_given_once() -> None:
    assert len(set(SIGNALS)) == len(SIGNALS)


@pytest.mark.parametrize(
    ("name", "text", "times"),
    [
        ("negations", "It is not, and never was.", 2),
        ("negations", "Which doesn't belong?", 1),
        ("law", "The defendant sued; the jury left.", 3),
        ("quantities asked for", "How many?", 1),
        ("formulas", "x = 3 + 4", 2),
        ("money", "It costs $5 or five dollars.", 2),
        ("list items", "- a\n- b\n3. c", 3),
        ("numbers", "1, 2.5 and 3,000", 3),
        ("names", "ask Anna or Bob", 2),
        ("acronyms", "NASA and ESA", 2),
        ("phrased rules", "at most two, step by step", 2),
    ],
)
def test_a_signal_is_the_logarithm_of_how_often_it_occurs(name: str, text: str, times: int) -> None:
    assert signal(name, text) == pytest.approx(math.log1p(times))


def test_a_share_is_of_all_words_and_signs() -> None:
    assert signal("share of negations", "not now , please") == pytest.approx(0.25)


def test_length_is_what_the_text_had_before_it_was_cut() -> None:
    assert signals("short", 9_999)[SIGNALS.index("length")] == pytest.approx(math.log(10_000))


def test_choices_are_measured_against_each_other_and_the_question() -> None:
    text = "Which colour is a leaf?\nA. green\nB. a red leaf\nC. 3\nD. blue"
    assert signal("options", text) == 4
    assert signal("one-word options", text) == 0.75
    assert signal("numeric options", text) == 0.25
    assert signal("options in the question", text) == pytest.approx(2 / 6)


def test_only_the_first_word_opens() -> None:
    assert signal("opens with 'how'", "How is it?") == 1
    assert signal("opens with 'how'", "Say how it is.") == 0


def test_shares_of_characters_add_up() -> None:
    assert signal("capitals", "ABcd") == 0.5
    assert signal("digits", "a1b2") == 0.5
    assert signal("other scripts", "aé日b") == 0.5
    assert signal("signs", "a,b!") == 0.5

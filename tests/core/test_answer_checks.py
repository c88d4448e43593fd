from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer_checks import answer_signs, calculations, final_number, numbers_in

QUESTION = "Ann has 3 boxes of 12 pens and gives away 6 pens. How many pens are left?"
RIGHT = "She has 3 x 12 = <<3*12=36>>36 pens. Left are 36 - 6 = <<36-6=30>>30 pens.\n#### 30"


def signs(answer: str, question: str = QUESTION) -> dict[str, float]:
    return answer_signs(question, answer)


def test_an_answer_that_adds_up_shows_no_sign_of_error() -> None:
    found = signs(RIGHT)
    for name in ("wrong sums", "no final answer", "numbers from nowhere", "given numbers unused", "results unused"):
        assert found[name] == 0, name
    assert found["final is the last result"] == 1


@pytest.mark.parametrize(
    ("sign", "answer"),
    [
        ("wrong sums", RIGHT.replace("36-6=30", "36-6=29")),
        ("no final answer", "She has 3 x 12 = 36 pens."),
        ("ends mid-sentence", "She has 3 x 12 = <<3*12=36>>36 pens and then"),
        ("numbers from nowhere", RIGHT.replace("36-6", "36-17")),
        ("given numbers unused", "3 x 12 = <<3*12=36>>36\n#### 36"),
        ("results unused", RIGHT.replace("36-6=30", "12-6=6")),
        ("fraction where a count was asked", RIGHT.replace("#### 30", "#### 7.5")),
        ("negative results", RIGHT.replace("36-6=30", "6-36=-30")),
        ("doubt", "We cannot know, but approximately 30.\n#### 30"),
        ("no steps", "#### 30"),
        ("final is given", RIGHT.replace("#### 30", "#### 12")),
    ],
)
def test_each_sign_is_seen(sign: str, answer: str) -> None:
    assert signs(answer)[sign] > signs(RIGHT)[sign]


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("<<2+3*4=14>>", 14),
        ("<<(2+3)*4=20>>", 20),
        ("<<10-2-3=5>>", 5),
        ("<<-2+5=3>>", 3),
        ("<<1,200/4=300>>", 300),
        ("3 x 4 = 12", 12),
        ("8 ÷ 2 = 4", 4),
        ("$5 + $6 = $11", 11),
    ],
)
def test_sums_are_done_again_by_the_rules_of_arithmetic(said: str, value: float) -> None:
    (found,) = calculations(said)
    assert found.value == pytest.approx(value)
    assert not found.wrong


@pytest.mark.parametrize("said", ["<<5/0=0>>", "<<3*=9>>", "<<((3=3>>", "<<" + "(" * 40 + "1+1=2>>"])
def test_what_is_no_sum_is_not_called_wrong(said: str) -> None:
    assert not any(found.wrong for found in calculations(said))


def test_rounding_is_no_error() -> None:
    assert not next(calculations("<<10/3=3.33>>")).wrong


def test_the_last_result_given_is_the_final_one() -> None:
    assert final_number("#### 3\nNo: #### 1,234.5") == 1234.5
    assert final_number("The answer is 7.") == 7
    assert final_number("nothing") is None


def test_numbers_may_be_words() -> None:
    assert numbers_in("half a dozen, 1,000 and two") == {0.5, 12.0, 1000.0, 2.0}


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_texts_have_every_sign_and_all_are_finite(question: str, answer: str) -> None:
    found = answer_signs(question, answer)
    assert list(found) == list(signs(RIGHT))
    assert all(math.isfinite(value) for value in found.values())


@given(st.text(alphabet="0123456789+-*/().= <>x#$,", max_size=120))
def test_hostile_sums_are_survived(answer: str) -> None:
    assert answer_signs("", answer)

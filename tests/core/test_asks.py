"""What a prompt asks for, counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.asks import ASKS, asks


def said(text: str) -> dict[str, float]:
    return dict(zip(ASKS, asks(text, len(text)).tolist(), strict=True))


def test_every_value_has_a_name_of_its_own() -> None:
    assert len(ASKS) == len(set(ASKS)) == len(asks("", 0))


@given(st.text(max_size=300))
def test_any_text_has_finite_values(text: str) -> None:
    assert np.isfinite(asks(text, len(text))).all()


def test_kinds_of_work_are_counted_by_their_words() -> None:
    values = said("Prove the theorem.")
    assert values["proving"] > 0
    assert values["stories"] == 0


def test_pairs_of_words_count_as_one() -> None:
    assert said("Now show that it holds")["proving"] > 0
    assert said("Now show me what it holds")["proving"] == 0


def test_a_word_says_most_where_a_prompt_begins_and_ends() -> None:
    filler = "the thing over there " * 40
    assert said("Translate this: " + filler)["opens with translating"] == 1
    assert said(filler + " translate this")["opens with translating"] == 0
    assert said(filler + " translate this")["closes with translating"] == 1


def test_scripts_other_than_latin_are_told_apart() -> None:
    assert said("写一个故事")["kana and han"] > 0.9
    assert said("Напиши рассказ")["cyrillic"] > 0.9
    assert said("이야기를 써 주세요")["hangul"] > 0.7
    assert said("Viết câu chuyện")["accents"] > 0.1
    assert said("Write a story")["accents"] == 0


def test_lines_of_code_are_counted() -> None:
    assert said("def add(a, b):\n    return a + b\nprint(add(1, 2));")["code lines"] > 1

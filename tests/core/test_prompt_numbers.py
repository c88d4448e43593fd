"""Prompts as numbers, packed into a line of text."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.prompt_numbers import numbers_of, packed, unpacked
from gateway.offline.train_router import features_for


@given(st.text(max_size=400))
def test_what_is_packed_is_unpacked(prompt: str) -> None:
    numbers = numbers_of(features_for(prompt))
    again = unpacked(packed(numbers))
    assert np.allclose(again.raw, numbers.raw, rtol=2e-3, atol=1e-3)
    assert np.array_equal(again.chars, np.sort(numbers.chars))
    assert np.array_equal(again.words, np.sort(numbers.words))


def test_the_same_prompt_is_always_the_same_text_and_a_short_one_is_short() -> None:
    features = features_for("What is the capital of France?")
    assert packed(numbers_of(features)) == packed(numbers_of(features))
    assert len(packed(numbers_of(features))) < 600


def zipped(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


@pytest.mark.parametrize("text", ["", "!", "abcd", zipped(b""), zipped(b"x" * 9_999)])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"packed|base64|padding|Incorrect|Invalid|Only|cut"):
        unpacked(text)

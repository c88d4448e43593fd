from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.checks.sums import sum_fault


@pytest.mark.parametrize(
    "answer",
    [
        "So 3 * 60 = 190 in all.",
        "That is $1,200 + $300 = $1,600.",
        "12 / 4 = 5",
        "4 × 8 − no: 4 × 8 = 30.",
        "9 - 4 = 6",
    ],
)
def test_a_sum_that_does_not_add_up_is_found(answer: str) -> None:
    assert sum_fault("how many?", answer) is not None


@pytest.mark.parametrize(
    "answer",
    [
        "3 * 60 = 180",
        "2 + 3 * 4 = 14",
        "10 / 3 = 3.33",
        "17 / 4 = 4 with 1 left over",
        "20% of 50 = 10, and 50 - 20% = 40",
        "x + 2 = 5",
        "2 = 1 + 1",
        "5 = 2 + 3 = 5",
        "3 + 4 = 7 + 1 = 8",  # a chain, as children write it
        "2^3 = 8",
        "(2 + 3) * 4 = 20",
        "1/2 + 1/3 = 5/6",
        "10 - 3 = 7 remainder 0",
        "2024-11-23 = today",
        "7 / 2 = 3 1/2",
        "v1.2-3 = 4",
        "3 feet x 4 feet = 12",
    ],
)
def test_what_adds_up_or_is_no_plain_sum_is_left_alone(answer: str) -> None:
    assert sum_fault("how many?", answer) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from("+-*"))
def test_no_right_sum_is_ever_found_wrong(one: int, two: int, sign: str) -> None:
    value = {"+": one + two, "-": one - two, "*": one * two}[sign]
    assert sum_fault("", f"We have {one:,} {sign} {two} = {value:,} apples.") is None


@given(st.text(max_size=400))
def test_no_text_at_all_raises(answer: str) -> None:
    sum_fault("", answer)

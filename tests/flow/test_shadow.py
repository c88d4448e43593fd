from __future__ import annotations

import pytest

from gateway.flow.shadow import read_verdict, said


@pytest.mark.parametrize(
    ("judgement", "verdict"),
    [
        ("yes", "same"),
        ("No.", "different"),
        ("Both name Paris, so no fact differs.\n\nYES", "same"),
        ("I cannot tell.", "unknown"),
        ("Nothing known", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_judges_last_yes_or_no_is_its_verdict(judgement: str, verdict: str) -> None:
    assert read_verdict(judgement) == verdict


def test_what_was_said_is_the_first_choices_text() -> None:
    assert said({"choices": [{"message": {"content": "Paris"}}, {"message": {"content": "Rome"}}]}) == "Paris"
    assert said({"choices": [{"message": {"content": None}}]}) == ""
    assert said({"choices": []}) == ""

from __future__ import annotations

import pytest

from gateway.flow.shadow import is_chosen, read_verdict, said

IDS = [f"req_{number:032x}" for number in range(20_000)]


def test_the_share_holds_over_many_ids() -> None:
    assert sum(is_chosen(id, 0.01) for id in IDS) == pytest.approx(200, abs=60)


def test_the_same_id_is_always_chosen_or_never() -> None:
    assert [is_chosen(id, 0.3) for id in IDS[:50]] == [is_chosen(id, 0.3) for id in IDS[:50]]


def test_a_larger_share_keeps_whom_a_smaller_one_chose() -> None:
    assert all(is_chosen(id, 0.5) for id in IDS if is_chosen(id, 0.01))


def test_none_and_all_are_meant() -> None:
    assert not any(is_chosen(id, 0.0) for id in IDS)
    assert all(is_chosen(id, 1.0) for id in IDS)


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

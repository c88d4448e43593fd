"""The cases by hand hold on every change; the rest needs data."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.review import Check
from tests.eval import review
from tests.eval.review_cases import RIGHT, WRONG


@pytest.mark.parametrize(("question", "answer"), RIGHT)
def test_a_right_answer_passes(question: str, answer: str) -> None:
    assert review.reviewed(question, answer) is None


@pytest.mark.parametrize(("question", "answer", "check"), WRONG)
def test_a_wrong_answer_is_stopped_by_its_check(question: str, answer: str, check: Check) -> None:
    found = review.reviewed(question, answer)
    assert found is not None
    assert found.check == check


def test_without_data_it_says_so_and_counts_the_cases_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THRIFTGATE_EVAL_DATA", str(tmp_path))
    assert review.main() == 0
    said = capsys.readouterr().out
    assert "worked sums skipped" in said
    assert "goals met" in said

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gateway.offline.train_answer_head import Worked, main, train, worked_sums


def examples(count: int = 120) -> list[Worked]:
    """Sums of which every third answer is wrong, and looks it."""
    made = []
    for at in range(count):
        question = f"Ann has {at} bags with {at + 3} marbles each. How many marbles has she?"
        said = at * (at + 3) * (1 if at % 3 else 2) + (0 if at % 3 else 7)
        made.append(Worked(question, f"{at} * {at + 3} = {said}\n#### {said}", float(at % 3 != 0), 1.0))
    return made


def test_the_same_examples_give_the_same_head() -> None:
    one, two = train(examples()), train(examples())
    assert np.array_equal(one.weights, two.weights)
    assert np.array_equal(one.thresholds, two.thresholds)


def test_it_learns_that_wrong_sums_are_wrong() -> None:
    head = train(examples())
    wrong, right = (
        np.mean([head.gain(e.question, e.answer) for e in examples() if e.light == sort]) for sort in (0, 1)
    )
    assert wrong > right + 0.5


def test_a_higher_target_lets_no_more_pass() -> None:
    assert (np.diff(train(examples()).thresholds) <= 0).all()


def test_rows_of_the_public_file_are_read(tmp_path: Path) -> None:
    row = {"prompt": "q", "weak_response": "a", "weak": 1, "strong": 0}
    (tmp_path / "cascade_gsm8k.dev.jsonl").write_text(json.dumps(row) + "\n")
    assert worked_sums(tmp_path) == [Worked("q", "a", 1.0, 0.0)]


def test_without_the_file_nothing_is_learned(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1

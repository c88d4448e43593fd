"""New weights from a ledger, with what they are worth; nothing is switched."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.router_weights import load
from gateway.core.events import PromptKept, Rated
from gateway.core.prompt_numbers import numbers_of, packed
from gateway.core.router import forecast
from gateway.offline.train_from_ledger import NothingLearned, train_from_ledger
from gateway.offline.train_router import features_for
from tests.offline.test_ledger_lessons import write

EASY = "Please tell me the opening hours of our shop number {} on a sunday."
HARD = "Compare clause {} of the lease with the statute and list every conflict for the tenant."


def lines(count: int) -> list[PromptKept | Rated]:
    events: list[PromptKept | Rated] = []
    for at in range(count):
        prompt, score = (HARD, 0.0) if at % 2 else (EASY, 1.0)
        numbers = packed(numbers_of(features_for(prompt.format(at))))
        events += [PromptKept(f"req_{at}", "shop", "light", "small", numbers)]
        events += [Rated(f"req_{at}", "shop", score, "up" if score else "down")]
    return events


def test_feedback_teaches_which_prompts_a_light_answer_will_do_for(tmp_path: Path) -> None:
    write(tmp_path / "ledger", *lines(160))
    trained = train_from_ledger(tmp_path / "ledger", tmp_path / "new.npz")
    weights = load(tmp_path / "new.npz")
    easy, hard = (forecast(features_for(prompt.format(999)), weights) for prompt in (EASY, HARD))
    assert easy is not None
    assert hard is not None
    assert easy.probability - hard.probability > 0.5
    assert trained.digest == weights.digest != load().digest


def test_the_report_has_an_interval_and_the_digest(tmp_path: Path) -> None:
    write(tmp_path / "ledger", *lines(160))
    report = train_from_ledger(tmp_path / "ledger", tmp_path / "new.npz").report
    assert report[0].startswith("160 rated light answers of 1 services")
    assert "APGR after" in report[2]
    assert " to " in report[2]
    assert "promised 98 %" in report[4]
    assert load(tmp_path / "new.npz").digest in report[-1]


def test_the_same_ledger_gives_the_same_file(tmp_path: Path) -> None:
    write(tmp_path / "ledger", *lines(120))
    one, two = (train_from_ledger(tmp_path / "ledger", tmp_path / name).digest for name in ("a.npz", "b.npz"))
    assert one == two


def test_too_little_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "ledger", *lines(20))
    with pytest.raises(NothingLearned, match=r"20 light answers with both.*store_features"):
        train_from_ledger(tmp_path / "ledger", tmp_path / "new.npz")
    assert not (tmp_path / "new.npz").exists()


def test_where_light_answers_are_all_good_there_is_nothing_to_learn(tmp_path: Path) -> None:
    write(tmp_path / "ledger", *(event for event in lines(240) if not isinstance(event, Rated) or event.score))
    with pytest.raises(NothingLearned, match="0 of them worth less"):
        train_from_ledger(tmp_path / "ledger", tmp_path / "new.npz")

"""Feedback and kept prompts, joined from the lines of a ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import orjson
import pytest

from gateway.core.events import HitChecked, PromptKept, Rated
from gateway.core.ledger_lines import told_record
from gateway.core.prompt_numbers import numbers_of, packed
from gateway.offline.ledger_lessons import ratings_of, told_in
from gateway.offline.train_router import features_for

PACKED = packed(numbers_of(features_for("What is the capital of France?")))


def kept(id: str, service: str = "search", tier: str = "light", numbers: str = PACKED) -> PromptKept:
    return PromptKept(id, service, tier, "small", numbers)


def rated(id: str, score: float, service: str = "search") -> Rated:
    return Rated(id, service, score, "up" if score >= 0.5 else "down")


def write(folder: Path, *events: PromptKept | Rated | HitChecked, name: str = "2026-11-23.000001.ndjson") -> None:
    folder.mkdir(exist_ok=True, parents=True)
    records = [told_record(event, 1_000.0 + at) for at, event in enumerate(events)]
    (folder / name).write_bytes(b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records))


def scores(folder: Path) -> list[tuple[float, float]]:
    return [(rating.light, rating.strong) for rating in ratings_of(told_in(folder))]


def test_feedback_joins_the_prompt_of_its_request(tmp_path: Path) -> None:
    write(tmp_path, kept("req_1"), kept("req_2"), rated("req_1", 0.25))
    assert scores(tmp_path) == [(0.25, 1.0)]


def test_of_several_ratings_the_last_counts_also_in_a_later_file(tmp_path: Path) -> None:
    write(tmp_path, kept("req_1"), rated("req_1", 0.0), rated("req_1", 0.5))
    write(tmp_path, rated("req_1", 1.0), name="2026-11-24.000001.ndjson")
    assert scores(tmp_path) == [(1.0, 1.0)]


def test_what_another_service_says_of_a_request_counts_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, kept("req_1", "search"), rated("req_1", 0.0, "rival"))
    assert scores(tmp_path) == []


def test_only_light_answers_teach_and_heavy_ones_say_what_a_strong_answer_is_worth(tmp_path: Path) -> None:
    heavy = [event for at in range(20) for event in (kept(f"h{at}", tier="heavy"), rated(f"h{at}", 0.75))]
    write(tmp_path, kept("req_1"), rated("req_1", 0.5), *heavy)
    assert scores(tmp_path) == [(0.5, 0.75)]


def test_workers_folders_are_read_too(tmp_path: Path) -> None:
    write(tmp_path, kept("req_1"))
    write(tmp_path / "worker-2", rated("req_1", 1.0))
    assert scores(tmp_path) == [(1.0, 1.0)]


def test_one_service_may_be_learned_from_alone(tmp_path: Path) -> None:
    write(tmp_path, kept("a", "search"), rated("a", 1.0, "search"), kept("b", "chat"), rated("b", 1.0, "chat"))
    assert [rating.service for rating in ratings_of(told_in(tmp_path, "chat"))] == ["chat"]


def compared(
    id: str, verdict: Literal["same", "different", "unknown"], of: Literal["hit", "light"] = "light"
) -> HitChecked:
    return HitChecked(id, "search", "large", verdict, True, None, 0, 0.0, 0.0, 1.0, of=of)


def test_a_light_answer_that_was_compared_with_a_heavy_one_needs_no_rating_and_goes_before_one(tmp_path: Path) -> None:
    write(tmp_path, kept("a"), kept("b"), rated("b", 1.0), compared("a", "same"), compared("b", "different"))
    assert sorted(scores(tmp_path)) == [(0.0, 1.0), (1.0, 1.0)]


def test_where_the_light_answer_was_the_better_one_the_heavy_one_is_worth_nothing(tmp_path: Path) -> None:
    write(tmp_path, kept("a"), replace(compared("a", "same"), light_better=True))
    assert scores(tmp_path) == [(1.0, 0.0)]


def test_checks_of_hits_and_checks_without_a_verdict_teach_nothing(tmp_path: Path) -> None:
    write(tmp_path, kept("a"), kept("b"), compared("a", "different", "hit"), compared("b", "unknown"))
    assert scores(tmp_path) == []


@pytest.mark.parametrize("numbers", ["", "AAAA", "nothing"])
def test_numbers_of_another_version_are_passed_over_and_counted(tmp_path: Path, numbers: str) -> None:
    write(tmp_path, kept("req_1", numbers=numbers), rated("req_1", 1.0))
    told = told_in(tmp_path)
    assert ratings_of(told) == []
    assert told.passed_over == 1

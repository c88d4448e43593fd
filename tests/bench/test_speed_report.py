from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from tests.bench.speed_report import GOALS, Goal, Row, figures_of, markdown

OURS = Row("Thriftgate", "miss", 64, 0, 1.0, 30.0, 35.0, 10_000, 2.0, 500, 900, 400, 800, 0, 0, 0)
THEIRS = replace(OURS, gateway="LiteLLM", cpu_s=50.0)
RATIO = Goal(("Thriftgate",), "miss", lambda row: row.cpu_us, "at least", 40, ("LiteLLM", "miss"))


def ratios(*rows: Row) -> list[float]:
    return list(figures_of(RATIO, "Thriftgate", list(rows)))


def test_a_row_says_what_one_request_and_one_event_took() -> None:
    row = replace(OURS, events=220_000)
    assert (row.cpu_us, row.a_second) == (100, 5_000)
    assert row.event_us == pytest.approx(4.545, rel=1e-3)


def test_a_ratio_is_taken_within_its_round() -> None:
    busier = [replace(row, round=1, cpu_s=2 * row.cpu_s) for row in (OURS, THEIRS)]
    assert ratios(OURS, THEIRS, *busier) == [50, 50]


def test_a_round_with_a_bad_answer_is_void() -> None:
    assert ratios(replace(OURS, refused=1), THEIRS) == []
    assert ratios(OURS, replace(THEIRS, broken=1)) == []


def test_a_peer_that_is_not_installed_has_no_line() -> None:
    text = markdown([OURS], argparse.Namespace(rounds=1, seconds=2.0))
    assert "| Thriftgate, miss | 64 | 5,000 | 100.0 |  | 500 / 900 | 400 | 30 / 35 |" in text
    assert "| CPU µs of a miss at most | 250 | Thriftgate | 100.00 | held |" in text
    assert "LiteLLM" not in text
    assert len(GOALS) > 1

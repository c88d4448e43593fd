"""What the evaluation does without its data, and the template burst, which needs none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.onnx_embedder import OnnxEmbedder
from tests.eval import semantic


async def test_prompts_of_one_template_never_get_each_others_answers(minilm: OnnxEmbedder) -> None:
    seen = await semantic.burst(minilm, "template", semantic.template_prompts(800)[:60])
    assert seen.plain > 30  # the cosine alone takes most of them for one question
    assert seen.verified == 0


async def test_prompts_beyond_the_window_have_no_vector_at_all(minilm: OnnxEmbedder) -> None:
    assert await semantic.embed_all(minilm, semantic.template_prompts(1_500)) == {}


async def test_without_data_it_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THRIFTGATE_EVAL_DATA", str(tmp_path))
    assert await semantic.main() == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_every_set_weighs_the_same_in_the_pool() -> None:
    report = semantic.Report()
    report.tallies["small", False] = semantic.Tally(pairs=2, plain=2, verified=1)
    report.tallies["large", False] = semantic.Tally(pairs=100, plain=10, verified=0)
    report.tallies["contrast_passage", False] = semantic.Tally(pairs=100, plain=100, verified=100)
    assert report.pooled(same=False, verified=False) == 55
    assert report.pooled(same=False, verified=True) == 25


def test_a_missed_goal_is_named() -> None:
    report = semantic.Report()
    report.tallies["checklist_entity_edit", False] = semantic.Tally(pairs=100, plain=9, verified=2)
    assert "entity edits <= 1 %" in semantic.missed_goals(report, [])

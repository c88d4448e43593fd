"""What the evaluation does without its data, and its arithmetic, which needs none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.offline.routing_sets import Outcome
from tests.eval import routing
from tests.eval.routing import Scored
from tests.eval.tiers import Agreement


def test_without_data_it_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THRIFTGATE_EVAL_DATA", str(tmp_path))
    assert routing.main() == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_what_is_saved_is_the_cheapest_share_that_keeps_the_quality() -> None:
    light, strong = np.array([1.0] * 8 + [0.0] * 2), np.ones(10)
    perfect = Scored(light, strong, strong - light)
    assert perfect.saved() == pytest.approx((72, 72, 72))
    assert perfect.saved(light_paid=True) == pytest.approx((70, 70, 70))
    assert Scored(light, strong, -perfect.scores).saved()[2] == pytest.approx(0)


def test_a_light_call_that_is_always_paid_may_cost_more_than_it_saves() -> None:
    hopeless = Scored(np.zeros(10), np.ones(10), np.zeros(10))
    assert hopeless.saved(light_paid=True)[2] == pytest.approx(-10)


def test_anchors_are_beside_every_figure() -> None:
    lines = routing.anchors([Outcome("a", "s", 0, 1), Outcome("bb", "s", 1, 1)])
    assert [line.split("  ")[1].strip() for line in lines] == ["coin", "prompt length", "oracle", "always strong"]


def test_agreement_counts_what_was_said_too_low() -> None:
    found = Agreement(np.array([0, 1, 2, 2]), np.array([0, 2, 1, 2]))
    assert (found.accuracy, found.under) == (0.5, 0.25)
    assert found.macro_f1 == pytest.approx((1 + 0 + 0.5) / 3)
    assert Agreement(found.truth, found.truth).kappa == 1

"""The tier classifier's weights as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.adapters.tier_weights import SHIPPED, classifier, load, save
from gateway.adapters.weights_file import WeightsError
from gateway.core.tier_model import classify
from gateway.offline.train_router import features_for


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    weights = load()
    assert save(weights, tmp_path / "again.npz") == weights.digest
    again = load(tmp_path / "again.npz")
    assert np.array_equal(again.heads, weights.heads)
    assert (tmp_path / "again.npz").read_bytes() == SHIPPED.read_bytes()


def test_a_file_that_is_none_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="make train-tiers"):
        load(tmp_path / "x.npz")


def test_weights_of_other_inputs_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", inputs=np.array(["length"]))
    with pytest.raises(WeightsError, match="other inputs"):
        load(tmp_path / "x.npz")


def test_the_shipped_file_is_small_and_has_no_text_of_a_prompt() -> None:
    assert SHIPPED.stat().st_size < 50_000


def test_a_question_that_comes_again_has_the_same_verdict() -> None:
    weights, features = load(), features_for("What does DNA stand for?")
    remembering = classifier(weights)
    assert remembering(features) is remembering(features_for("What does DNA stand for?"))
    assert remembering(features) == classify(features, weights)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.adapters.answer_head import SHIPPED, SIGNS, load, save
from gateway.adapters.weights_file import WeightsError


def test_the_shipped_head_is_of_this_versions_signs_and_small() -> None:
    assert len(load().weights) == len(SIGNS)
    assert SHIPPED.stat().st_size < 10_000


def test_what_is_saved_again_is_the_same_file(tmp_path: Path) -> None:
    save(load(), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == SHIPPED.read_bytes()


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_a_file_that_holds_no_head_is_refused_with_the_mend(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "h.npz").write_bytes(content)
    with pytest.raises(WeightsError, match="make train-answer-head"):
        load(tmp_path / "h.npz")


def test_a_head_of_other_signs_is_refused(tmp_path: Path) -> None:
    with np.load(SHIPPED) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["signs"] = arrays["signs"][:-1]
    np.savez(tmp_path / "h.npz", **arrays)
    with pytest.raises(WeightsError, match="other signs"):
        load(tmp_path / "h.npz")

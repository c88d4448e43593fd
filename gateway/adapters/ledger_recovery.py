"""What a gateway that is gone has left in its ledger files, read without reading all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway.adapters.ledger_file import ledger_files
from gateway.adapters.ledger_reader import Damage, read_lines
from gateway.core.books import Books
from gateway.core.budget import LATE_MS
from gateway.core.ledger_lines import ENTRY_KINDS, Entry, Record, check_kind, draw_of, entry_of

RECENT_S = 60.0
"""Far longer than a settlement waits for its turn and its time-out before it is either confirmed or kept for later."""
_LATE_S = LATE_MS / 1000
_TAIL_BYTES = 64 * 1024


@dataclass(slots=True)
class Left:
    """`recent` are the entries that ended something and that Redis may not have confirmed, oldest first. `boot` is the
    machine's at the last lines (None: not told), and `lost_lines` whether there are gaps between them."""

    books: Books = field(default_factory=Books)
    recent: deque[Entry] = field(default_factory=deque)
    boot: str | None = None
    lost_lines: bool = False

    def add(self, record: Record) -> None:
        """Raises ValueError for a line that says nothing."""
        kind = check_kind(record)
        if kind in ENTRY_KINDS:
            entry = entry_of(record)
            self.books.add(entry)
            if entry.kind not in ("hold", "held"):
                self.recent.append(entry)
                self._forget_what_is_confirmed(entry.at_s)
        elif kind == "draw":
            self.books.draw(draw_of(record))
        elif kind == "drawn":
            self.books.drawn(draw_of(record))
        elif kind == "head":
            self.boot = record.get("boot")
        elif kind == "gap":
            self.lost_lines = True
        elif kind in ("behind", "even"):
            self.books.behind_since_s = record["at"] if kind == "behind" else None

    def _forget_what_is_confirmed(self, now_s: float) -> None:
        confirmed_s = (self.books.behind_since_s or now_s) - RECENT_S
        while self.recent[0].at_s < confirmed_s:
            self.recent.popleft()


def read_left(folder: Path, damaged: Callable[[Damage], None]) -> Left:
    """From the last file on before whose head everything was confirmed. A line that says nothing is passed over."""
    left: Left | None = None
    for path in _needed(ledger_files(folder)):
        for number, record in read_lines(path, damaged):
            try:
                if left is None:
                    left = Left()
                    if record.get("type") == "head":
                        left.books.carry(record)
                left.add(record)
            except ValueError as error:
                damaged(Damage(path, number, str(error)))
    return left or Left()


def _needed(files: list[Path]) -> list[Path]:
    if not files:
        return []
    last_s = _last_line_s(files[-1])
    for at in reversed(range(len(files))):
        head: Record = next((record for _, record in read_lines(files[at], lambda damage: None)), {})
        if head.get("type") == "head" and isinstance(head.get("at"), int | float):
            is_behind = head.get("behind_since") is not None
            if head["at"] < last_s - (_LATE_S if is_behind else RECENT_S):
                return files[at:]
    return files


def _last_line_s(path: Path) -> float:
    """Unix seconds of the last line that can be read, else of the last write."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        for line in reversed(file.read().splitlines()):
            try:
                return float(orjson.loads(line)["at"])
            except (ValueError, KeyError, TypeError):
                continue
    return path.stat().st_mtime

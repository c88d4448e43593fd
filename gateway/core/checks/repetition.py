"""An answer that has run into a loop: its end is one phrase over and over, or one line stands in it many times."""

from __future__ import annotations

import re
from collections import Counter

_TAIL_CHARS = 1_600
_LEAST_CHARS = 240
_LEAST_ROUNDS = 5
_LINE_CHARS = 30
_LINE_TIMES = 6
_READ_CHARS = 40_000
_ON_PURPOSE = re.compile(r"\brepeat|\btimes\b|\bover and over\b|\brefrain|\bchorus|\blyrics|\bchant|\bpattern")


def repetition(question: str, prose: str) -> str | None:
    """None where the question asks for it. Code is not looked at: programs repeat themselves for good reasons."""
    if _ON_PURPOSE.search(question):
        return None
    prose = prose[-_READ_CHARS:].strip()
    if _ends_in_a_loop(prose[-_TAIL_CHARS:]):
        return "ends in a loop"
    lines = Counter(line.strip() for line in prose.split("\n"))
    line, times = max(lines.items(), key=lambda row: row[1] * _speaks(row[0]))
    return f"one line {times} times" if times >= _LINE_TIMES and _speaks(line) else None


def _speaks(line: str) -> bool:
    return len(line) >= _LINE_CHARS and "|" not in line and _distinct_words(line) >= 4


def _ends_in_a_loop(tail: str) -> bool:
    """Whether some suffix is one unit of three words or more, repeated: by the borders of the reversed text (Knuth,
    Morris and Pratt), so it is linear."""
    backwards = tail[::-1]
    borders = [0] * len(backwards)
    for at in range(1, len(backwards)):
        border = borders[at - 1]
        while border and backwards[at] != backwards[border]:
            border = borders[border - 1]
        borders[at] = border + (backwards[at] == backwards[border])
        length, period = at + 1, at + 1 - borders[at]
        if length >= _LEAST_CHARS and length >= _LEAST_ROUNDS * period:
            unit = backwards[:period]
            return _distinct_words(unit) >= 3 and "|" not in unit  # a table's rows may well be equal
    return False


def _distinct_words(text: str) -> int:
    return len(set(re.findall(r"[^\W\d_]{2,}", text)))

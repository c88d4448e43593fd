"""Numbers as people write them in a prompt: `12`, `1,000`, `three`."""

from __future__ import annotations

_WORDED = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20,
    "a single": 1, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
    "a hundred": 100, "one hundred": 100, "hundred": 100, "two hundred": 200, "three hundred": 300, "five hundred": 500,
}  # fmt: skip
NUMERAL = rf"(?:\d{{1,3}}(?:,\d{{3}})?|\d{{4,5}}|{'|'.join(sorted(_WORDED, key=len, reverse=True))})"
"""A pattern; what it matches, `value` reads."""


def value(numeral: str) -> int:
    return _WORDED[numeral] if numeral in _WORDED else int(numeral.replace(",", ""))

"""Slips that change nothing: a typing slip across the whole text, and a speaker who corrects himself."""

from __future__ import annotations

import re

from gateway.core.guards.lexicon import words
from gateway.core.guards.reading import Reading

_EXACT = re.compile(r"\d(?:[\d.,:]*\d)?|[\\^*+=<>|&%$#@~/{}\[\]()_`]")
"""Figures and the marks of code and formulas: no slip is forgiven in them."""
_CORRECTIONS = (
    "wait", "sorry", "uh", "um", "er", "erm", "oops", "i mean", "i meant", "make that", "or rather", "no rather",
    "scratch that", "never mind", "disregard that", "no actually", "actually no",
)  # fmt: skip
_QUESTION_WORDS = words("what which who whom whose when where why how")


def mistyped(asked: Reading, stored: Reading) -> bool:
    """The same letters but for spaces, capitals, punctuation and at most two neighbours that changed places.

    Figures and the marks of code must be the same.
    """
    if _EXACT.findall(asked.text) != _EXACT.findall(stored.text):
        return False
    mine, theirs = _letters(asked.lower), _letters(stored.lower)
    if mine == theirs:
        return True
    if len(mine) != len(theirs):
        return False
    at = next(at for at, (one, two) in enumerate(zip(mine, theirs, strict=True)) if one != two)
    swapped = mine[at : at + 2]
    return swapped.isalpha() and swapped[::-1] == theirs[at : at + 2] and mine[at + 2 :] == theirs[at + 2 :]


def _letters(lower: str) -> str:
    return "".join(filter(str.isalnum, lower))


def corrected(asked: Reading, stored: Reading) -> bool:
    """One text is the other with a spoken correction in it: `in 1970 or uh sorry 1991` is `in 1991`.

    The longer text without one run of words must be the shorter to the word, and the run must end in a correction.
    """
    short, long = sorted((asked.texts, stored.texts), key=len)
    extra = len(long) - len(short)
    if not 0 < extra <= 12:
        return False
    head = 0
    while head < len(short) and short[head] == long[head]:
        head += 1
    tail = 0
    while tail < len(short) and short[-1 - tail] == long[-1 - tail]:
        tail += 1
    return any(_is_correction(long, at, at + extra) for at in range(max(0, len(short) - tail), head + 1))


def _is_correction(texts: tuple[str, ...], start: int, end: int) -> bool:
    run = " ".join(texts[start:end])
    if any(f" {run} ".endswith(f" {marker} ") for marker in _CORRECTIONS):
        return True
    # a bare `no` corrects only where a question starts anew: `What is no what are …`
    return run.endswith(" no") and bool(_QUESTION_WORDS.intersection(texts[end : end + 2]))

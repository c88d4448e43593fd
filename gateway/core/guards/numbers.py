"""Numbers and the units they carry: the edit that a cosine sees least."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.guards.lexicon import NUMBER_WORDS, UNITS
from gateway.core.guards.reading import Reading, rows, stem

_UNITS = rows(UNITS)
_SCALES = frozenset({"100", "1000", "1000000", "1000000000"})
_ORDINALS = frozenset({"st", "nd", "rd", "th"})


def numbers_disagree(asked: Reading, stored: Reading) -> str | None:
    """Another number, another unit on the same number, or the same numbers on other things."""
    mine, theirs = list(_numbers(asked)), list(_numbers(stored))
    if not mine and not theirs:
        return None
    if sorted(value for value, _ in mine) != sorted(value for value, _ in theirs):
        return "numbers"
    if mine == theirs:
        return None
    if _units(mine) != _units(theirs):
        return "units"
    if len({value for value, _ in mine}) > 1 and [v for v, _ in mine] != [v for v, _ in theirs]:
        return None if set(mine) == set(theirs) else "numbers in another order"
    return None


def _numbers(reading: Reading) -> Iterator[tuple[str, str]]:
    """Values in order, each with the stem of what follows it (empty at the end)."""
    words = reading.words
    for at, word in enumerate(words):
        value = _value(word.text, number=word.number)
        if value is None or (word.text == "one" and not _counts(reading, at)):
            continue
        after = words[at + 1].text if at + 1 < len(words) else ""
        if after in _ORDINALS and words[at + 1].glued:
            after = words[at + 2].text if at + 2 < len(words) else ""
        yield value, stem(after)


def _value(text: str, *, number: bool) -> str | None:
    if number:
        plain = text.replace(",", "") if not text.startswith("0,") else text
        whole = plain.lstrip("0") or "0"
        return whole.rstrip("0").rstrip(".") if "." in whole and ":" not in whole else whole
    return NUMBER_WORDS.get(text)


def _counts(reading: Reading, at: int) -> bool:
    """`one` counts before a unit (`in one sentence`); elsewhere it is mostly a pronoun."""
    return at + 1 < len(reading.words) and reading.words[at + 1].stem in _UNITS


def _units(numbers: list[tuple[str, str]]) -> list[tuple[str, tuple[int, ...]]]:
    """Only where a unit follows; a noun may be put in other words."""
    return sorted((value, tuple(sorted(_UNITS[after]))) for value, after in numbers if after in _UNITS)

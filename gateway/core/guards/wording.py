"""The words that only one text has, after forms, synonyms and slips of the pen are forgiven."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.core.guards.lexicon import LIGHT, SYNONYMS
from gateway.core.guards.reading import Reading, Word, rows, stem

_SYNONYMS = rows(SYNONYMS)
_LIGHT = frozenset(stem(word) for word in LIGHT) | LIGHT
_ENDINGS = (
    "er", "or", "al", "ion", "ation", "ment", "ness", "ful", "n", "ian", "an", "ist", "i", "ic", "able", "ance",
    "ence", "ent", "ant", "iti",
)  # fmt: skip

MOST_UNMATCHED = 24
"""Weighty words of one text that the other lacks. More is another text, and would take long to look at."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`mine` and `theirs`: weighty words without a counterpart. The stems are of every word that one text lacks."""

    mine: Sequence[Word]
    theirs: Sequence[Word]
    stems_mine: Sequence[str]
    stems_theirs: Sequence[str]


def difference(asked: Reading, stored: Reading) -> Difference | None:
    """None when the texts have too little in common to be compared."""
    mine = [word for word in asked.words if word.stem not in stored.stems]
    theirs = [word for word in stored.words if word.stem not in asked.stems]
    heavy_mine, heavy_theirs = weighty(mine), weighty(theirs)
    if max(len(heavy_mine), len(heavy_theirs)) > MOST_UNMATCHED:
        return None
    return Difference(
        unmatched(heavy_mine, stored.words),
        unmatched(heavy_theirs, asked.words),
        list(dict.fromkeys(word.stem for word in mine)),
        list(dict.fromkeys(word.stem for word in theirs)),
    )


def names_differ(different: Difference) -> str | None:
    """A name in one text that the other has in no form."""
    return "names" if any(word.name for word in (*different.mine, *different.theirs)) else None


def related_to_another(asked: Reading, stored: Reading, different: Difference) -> str | None:
    """`the boss of the inventor` is not the inventor: the one text only adds a noun that takes `of`."""
    if bool(different.mine) == bool(different.theirs):
        return None
    sequence, added = (asked.words, different.mine) if different.mine else (stored.words, different.theirs)
    stems = {word.stem for word in added}
    takes_of = any(word.stem in stems and after.text == "of" for word, after in pairwise(sequence))
    return "another relation" if takes_of else None


def weighty(sequence: Iterable[Word]) -> list[Word]:
    """Without the words that change no question by themselves, and without figures, which `numbers` compares."""
    return [word for word in sequence if not word.number and (word.stem not in _LIGHT and word.text not in _LIGHT)]


def unmatched(sequence: Sequence[Word], others: Sequence[Word]) -> list[Word]:
    """Those of `sequence` that stand in `others` in no form: no equal, no synonym, no derivation, no slip."""
    if not sequence:
        return []
    stems = {word.stem for word in others}
    meanings = {row for one in stems for row in _SYNONYMS.get(one, ())}
    by_letter: dict[str, list[Word]] = {}
    for word in others:
        by_letter.setdefault(word.text[0], []).append(word)
    return [
        word
        for word in sequence
        if word.stem not in stems
        and meanings.isdisjoint(_SYNONYMS.get(word.stem, ()))
        and not any(
            _slip(word.text, two.text) or _derived(word.stem, two.stem) for two in by_letter.get(word.text[0], ())
        )
    ]


def _derived(one: str, two: str) -> bool:
    """`sell`/`seller`, `obsess`/`obsession`: the longer is the shorter, but for a last letter, and a common ending."""
    short, long = (one, two) if len(one) <= len(two) else (two, one)
    if len(short) < 4 or not long.startswith(short[:-1]):
        return False
    return any(long in {short + ending, short[:-1] + ending} for ending in _ENDINGS)


def _slip(one: str, two: str) -> bool:
    """One typing slip: two neighbours changed places, or (in a longer word) a letter too many or too few."""
    if abs(len(one) - len(two)) > 1 or min(len(one), len(two)) < 4:
        return False
    at = 0
    while at < min(len(one), len(two)) and one[at] == two[at]:
        at += 1
    if len(one) == len(two):
        return one[at : at + 2] == two[at : at + 2][::-1] and one[at + 2 :] == two[at + 2 :]
    short, long = (one, two) if len(one) < len(two) else (two, one)
    return len(short) >= 5 and short[at:] == long[at + 1 :] and not long.endswith("s")

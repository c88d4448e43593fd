"""Looks for many expressions in a text at once, without trying each of them at each word.

One pattern of a hundred alternatives is tried at both ends of every word: 0.1 ms for a thousand characters. Nearly all
words begin like none of them, and their first three letters say so at a tenth of that; of the few expressions that are
left the literal beginning is searched for. What is found is what `finditer` of the one pattern finds (a test says so).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

_FIRST_LETTERS = re.compile(r"(\w{1,3})\w*")
_LITERAL = re.compile(r"[a-z' -]*(?!\?)")


class _Phrase(NamedTuple):
    """`rank`: where several match in one place, the first is found. `literal` is how each of its matches begins."""

    rank: int
    label: str
    literal: str
    pattern: re.Pattern[str]


def beginnings(text: str) -> Set[str]:
    """The first three letters of each of its words; of a shorter word all."""
    return frozenset(_FIRST_LETTERS.findall(text))


class Phrases:
    """`labelled` has patterns by their names: alternatives that match whole words and begin with letters, in lower
    case. What comes after fewer than three of them must not be a letter."""

    def __init__(self, labelled: Mapping[str, str]) -> None:
        self._by_beginning: dict[str, list[_Phrase]] = {}
        alternatives = [(label, one) for label, pattern in labelled.items() for one in _spelled_out(pattern)]
        for rank, (label, alternative) in enumerate(alternatives):
            phrase = _Phrase(rank, label, _literal(alternative), re.compile(rf"\b(?:{alternative})(?!\w)"))
            beginning = _FIRST_LETTERS.findall(phrase.literal)[0]
            self._by_beginning.setdefault(beginning, []).append(phrase)

    def found(self, text: str, words: Set[str]) -> list[str]:
        """The names of the matches that do not overlap, in their order. `words` are the `beginnings` of the text."""
        labels = []
        end = 0
        for at, phrase in sorted(self._places(text, words)):
            if at >= end and (match := phrase.pattern.match(text, at)) is not None:
                end = match.end()
                labels.append(phrase.label)
        return labels

    def _places(self, text: str, words: Set[str]) -> Iterator[tuple[int, _Phrase]]:
        for beginning in self._by_beginning.keys() & words:
            for phrase in self._by_beginning[beginning]:
                at = text.find(phrase.literal)
                while at >= 0:
                    yield at, phrase
                    at = text.find(phrase.literal, at + 1)


def _literal(alternative: str) -> str:
    found = _LITERAL.match(alternative.removeprefix(r"\A"))
    assert found is not None
    return found[0]


def _spelled_out(pattern: str) -> Iterator[str]:
    """The alternatives, each without a choice at its beginning: `(?:a|b) c` is `a c` and `b c`."""
    for alternative in _cut(pattern, "|"):
        anchor = r"\A" if alternative.startswith(r"\A") else ""
        group = alternative.removeprefix(anchor)
        if group.startswith("(?:"):
            choices, rest = _cut(group[3:], ")")
            yield from (f"{anchor}{choice}{rest}" for choice in _cut(choices, "|"))
        else:
            yield alternative


def _cut(pattern: str, at_sign: str) -> Iterator[str]:
    """Where the sign stands in no group."""
    depth, start = 0, 0
    for at, sign in enumerate(pattern):
        if sign == at_sign and depth == 0:
            yield pattern[start:at]
            start = at + 1
        else:
            depth += (sign == "(") - (sign == ")")
    yield pattern[start:]

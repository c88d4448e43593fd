"""A text taken apart once, for all guards: words in lower case, their stems, and which of them look like names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from gateway.core.guards.lexicon import CONTRACTIONS, ENTITY_BLIND, words

_TOKEN = re.compile(
    r"(?P<number>\d+(?:[.,:]\d+)*)"
    r"|(?P<word>[^\W\d]\w*(?:['’][^\W\d]\w*)*(?:\+\+|#)?)"
    r"|(?P<mark>[^\w\s])"
)
_BEYOND_LATIN = "\u0370"
_TAKE_IS = words("what who where when why how it that there here he she this")
_CLITIC = re.compile(r"n't$|'(?:s|re|ll|ve|d|m)$")


class Word(NamedTuple):
    """A tuple, because a text makes hundreds and a dataclass costs three times as much.

    `name`: written as a name where a plain word would not be. `glued`: no space between it and the figure before.
    """

    text: str
    stem: str
    name: bool = False
    number: bool = False
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """`words` in order, punctuation dropped; `stems` as a set."""

    text: str
    lower: str
    words: tuple[Word, ...]
    stems: frozenset[str]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(word.text for word in self.words)


def read(text: str) -> Reading:
    """Linear in the length of `text`."""
    found: list[Word] = []
    shouting = not any(map(str.islower, text))  # capitals say nothing in a text of capitals
    opening, end = True, 0
    for token in _TOKEN.finditer(text):
        raw = token.group()
        if token.lastgroup == "mark":
            opening = opening or raw in '.?!:;"“(`'
        elif token.lastgroup == "number":
            found.append(Word(raw, raw, number=True))
            opening = False
        else:
            glued = token.start() == end and bool(found) and found[-1].number
            found.extend(_expand(raw, named=not opening and not shouting, glued=glued))
            opening = False
        end = token.end()
    return Reading(text, text.lower(), tuple(found), frozenset(word.stem for word in found))


def _expand(raw: str, *, named: bool, glued: bool) -> Iterable[Word]:
    """One written word as the words it stands for; a contraction becomes two."""
    lower = raw.lower()
    name = named and raw[0].isupper()
    if raw.isalpha():
        full = CONTRACTIONS.get(lower)
        if full is None:
            # a script without our word lists, and often without spaces: held to the letter, as a name is
            foreign = raw[0] >= _BEYOND_LATIN
            return (Word(lower, stem(lower), name=foreign or (name and lower not in ENTITY_BLIND), glued=glued),)
        return [Word(part, stem(part)) for part in full.split()]
    return _expand_marked(lower.replace("’", "'"), name=name, glued=glued)


def _expand_marked(lower: str, *, name: bool, glued: bool) -> Iterable[Word]:
    """A word with an apostrophe, a figure or an underscore in it. One with a figure is a name (`h1b`, `m604n`)."""
    if (full := CONTRACTIONS.get(lower)) is not None:
        return [Word(part, stem(part)) for part in full.split()]
    bare = _CLITIC.sub("", lower) or lower
    named = (name and bare not in ENTITY_BLIND) or any(map(str.isdigit, bare))
    word = Word(bare, stem(bare), name=named, glued=glued)
    if lower.endswith("n't"):
        return [word, Word("not", "not")]
    return [word, Word("is", "is")] if lower.endswith("'s") and bare in _TAKE_IS else [word]


@lru_cache(maxsize=8_192)
def stem(word: str) -> str:
    """Close forms of one word to one string: plurals, tenses, adverbs. Crude, and only ever compared with itself."""
    if len(word) <= 3:
        return word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") else word


_SUFFIXES = ("ings", "ing", "ies", "ied", "edly", "ed", "es", "s", "ly", "e")


def rows(table: Iterable[str]) -> dict[str, frozenset[int]]:
    """Stem to the numbers of the rows it stands in: how the lexicon's tables are looked up."""
    found: dict[str, set[int]] = {}
    for number, row in enumerate(table):
        for word in row.split():
            found.setdefault(stem(word), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}

"""Limits that can be counted: words, sentences, paragraphs and list items that the question asks for in numbers.

A count of one part ("each", "a title of at most five words") is nobody's to check here. Words have a tolerance, because
people count them differently and do not mind; a list is counted only where there is exactly one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.core.checks.numerals import NUMERAL, value

Bound = Literal["most", "least", "exactly"]

_ITEMS = (
    r"bullet points?|bullets?|items?|steps|examples|ideas|reasons|tips|ways|suggestions|options|questions|facts|"
    r"names|benefits|advantages|disadvantages|pros|cons|factors|features|recommendations|titles|headlines|keywords|"
    r"synonyms|antonyms|entries|strategies|methods|techniques|activities|topics"
)
_UNIT = rf"(?P<unit>words?|sentences?|paragraphs?|(?:\w+ )?(?:{_ITEMS}))\b"
_NUMBER = rf"(?P<number>{NUMERAL})[ -]"
_AT_MOST = (
    r"(?:at most|(?:no|not) more than|up to|a maximum of|maximum|max|under|less than|fewer than|"
    r"limit(?:ed)? (?:\w+ ){0,3}to|not exceed)"
)
_STATED: tuple[tuple[Bound, str], ...] = (
    ("most", rf"{_AT_MOST} {_NUMBER}{_UNIT}"),
    ("most", rf"\b{_NUMBER}{_UNIT},? (?:or (?:less|fewer)|max(?:imum)?\b|at most)"),
    ("most", r"\b(?:in|with|using) (?P<number>one|a single|1|two|2|three|3) (?P<unit>words?)\b"),
    ("least", rf"(?:at least|(?:no|not) (?:less|fewer) than|a minimum of) {_NUMBER}{_UNIT}"),
    ("least", rf"\b{_NUMBER}{_UNIT} or more"),
    ("exactly", rf"(?:exactly|precisely) {_NUMBER}{_UNIT}"),
    ("exactly", rf"\b(?:in|as|with|using) {_NUMBER}(?P<unit>sentences?|paragraphs?|bullet points?|bullets)\b"),
)
_PATTERNS = tuple((bound, re.compile(pattern)) for bound, pattern in _STATED)
_OF_A_PART = re.compile(
    r"\b(?:each|every|per|any|title|headline|subject|caption|slogan|heading|intro\w*|conclusion|first|second|third|last|"
    r"name|labels?|both|between|and then|followed by|have|has|had|contain\w*|wrote|was|were|my|its|their|if)\b"
)
_OF_MANY = re.compile(r"\b(?!this |thus |always )\w{2,}[^\W_s]s (?:of |with |in |that are )?\Z")
_A_PART_FOLLOWS = re.compile(
    r"\W{0,2}(?:each|apiece|per|for (?:each|every)|a (?:day|week|paragraph)|long,? and|on (?:each|every))\b"
)
_LOOKS_BACK_CHARS = 48
_WORD_TOLERANCE = 0.1
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_ITEM = re.compile(r"^([ \t]*)(?:[-*•+]|\d{1,2}[.)]|[a-z][.)])[ \t]+\S", re.MULTILINE)
_ABBREVIATION = re.compile(
    r"\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Inc|Ltd|Jr|Sr|approx|Fig|al|cf|ca|Mt)\.\s"
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s+[^\sa-z]|\s*\Z)")


@dataclass(frozen=True, slots=True)
class Count:
    """What the question asks for: `unit` is words, sentences, paragraphs or items."""

    bound: Bound
    number: int
    unit: str


def counts_asked(question: str) -> Iterator[Count]:
    """`question` in lower case, with single spaces."""
    for bound, pattern in _PATTERNS:
        for found in pattern.finditer(question):
            before = question[max(0, found.start() - _LOOKS_BACK_CHARS) : found.start()].rpartition(". ")[2]
            of_a_part = _OF_A_PART.search(before) or _OF_MANY.search(before)
            if not of_a_part and not _A_PART_FOLLOWS.match(question, found.end()):
                unit = found["unit"].removesuffix("s")
                kind = f"{unit}s" if unit in ("word", "sentence", "paragraph") else "items"
                yield Count(bound, value(found["number"]), kind)


def count_fault(question: str, prose: str) -> str | None:
    if _CJK.search(prose):
        return None
    for asked in counts_asked(question):
        found = _COUNTED[asked.unit](prose)
        if found is not None and not _is_met(asked, found):
            return f"{found} {asked.unit} where {_SAID[asked.bound]}{asked.number} were asked for"
    return None


_SAID = {"most": "at most ", "least": "at least ", "exactly": ""}


def _is_met(asked: Count, found: int) -> bool:
    slack = 1 + asked.number * _WORD_TOLERANCE if asked.unit == "words" else 0
    low = asked.number - slack if asked.bound != "most" else 0
    high = asked.number + slack if asked.bound != "least" else found
    return low <= found <= high


def words(prose: str) -> int:
    return sum(any(sign.isalnum() for sign in piece) for piece in prose.split())


def sentences(prose: str) -> int | None:
    """None for a text with lists or headings in it, where nobody knows what a sentence is."""
    if _ITEM.search(prose) or re.search(r"^#|\|", prose, re.MULTILINE):
        return None
    plain = _ABBREVIATION.sub("x ", prose.strip())
    return len(_SENTENCE_END.findall(plain)) or 1


def paragraphs(prose: str) -> int | None:
    if _ITEM.search(prose) or re.search(r"^#|\|", prose, re.MULTILINE):
        return None
    return sum(bool(part.strip()) for part in re.split(r"\n[ \t]*\n", prose.strip()))


def items(prose: str) -> int | None:
    """Of the one list there is, its outermost level; None without a list, or with several."""
    found = list(_ITEM.finditer(prose))
    if len(found) < 2:
        return None
    outer = min(len(item[1]) for item in found)
    level = [item for item in found if len(item[1]) == outer]
    kinds = {item[0].strip()[0].isdigit() for item in level}
    restarts = sum(item[0].strip().startswith(("1.", "1)")) for item in level)
    return len(level) if len(kinds) == 1 and restarts <= 1 and not re.search(r"^#", prose, re.MULTILINE) else None


_COUNTED = {"words": words, "sentences": sentences, "paragraphs": paragraphs, "items": items}

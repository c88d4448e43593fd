"""Texts that share much and ask different things: a prompt template, a passage with a question after it.

The longer the shared part, the less a cosine sees of the rest, so the rest alone is compared, and strictly.
"""

from __future__ import annotations

from gateway.core.guards.reading import Reading, Word
from gateway.core.guards.wording import MOST_UNMATCHED, unmatched, weighty

_SHARED_WORDS = 12
"""From about this length on a shared beginning or end is a template and not how a question happens to start."""


def templates_differ(asked: Reading, stored: Reading) -> str | None:
    """Between a long shared beginning and end, one text has a weighty word that the other has not."""
    mine, theirs = asked.words, stored.words
    head = _shared(mine, theirs)
    tail = _shared(mine[head:][::-1], theirs[head:][::-1])
    if head + tail < _SHARED_WORDS:
        return None
    mine, theirs = mine[head : len(mine) - tail], theirs[head : len(theirs) - tail]
    return "filled in differently" if _differ(weighty(mine), weighty(theirs)) else None


def _differ(mine: list[Word], theirs: list[Word]) -> bool:
    if max(len(mine), len(theirs)) > MOST_UNMATCHED:
        return True
    return bool(unmatched(mine, theirs) or unmatched(theirs, mine))


def _shared(mine: tuple[Word, ...], theirs: tuple[Word, ...]) -> int:
    count = 0
    for one, two in zip(mine, theirs, strict=False):
        if one.stem != two.stem:
            break
        count += 1
    return count

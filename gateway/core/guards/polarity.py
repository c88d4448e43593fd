"""Yes and no: negations, opposites, and words that move a question to another time or case."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.guards.lexicon import CONTRASTS, NEGATIONS, PHASES, words
from gateway.core.guards.reading import Reading, rows, stem

_CONTRASTS = rows(CONTRASTS)
_NO_ROWS: frozenset[int] = frozenset()
_PHASES = frozenset(stem(word) for word in PHASES)
_PREFIXES = words("un in im il ir dis non anti mis de re pre post over under sub super")
_ASKING = words("can could will would do does did is are was were has have should")
_POLITE = words("could can would will")
_PRONOUNS = words("i you he she it we they there")
_AFTER_NOT = words("only just sure wait no")
_AFTER_NO = words("wait sorry matter problem longer actually make better rather")


def negation_disagrees(asked: Reading, stored: Reading) -> str | None:
    return "negation" if _negations(asked) != _negations(stored) else None


def opposites(mine: Sequence[str], theirs: Sequence[str]) -> str | None:
    """`mine` and `theirs` are the stems that only one text has."""
    for one in mine:
        here = _CONTRASTS.get(one, _NO_ROWS)
        if any(here & _CONTRASTS.get(two, _NO_ROWS) or _negates(one, two) or _negates(two, one) for two in theirs):
            return "opposites"
    return None


def phase_differs(asked: Reading, stored: Reading) -> str | None:
    """`is becoming`, `used to be`, `former`, `only`: in one text and not in the other."""
    same = asked.stems & _PHASES == stored.stems & _PHASES and _used_to(asked) == _used_to(stored)
    return None if same else "another time or case"


def _negations(reading: Reading) -> int:
    """How often it is denied, without politeness, tags and idioms."""
    if reading.stems.isdisjoint(NEGATIONS):
        return 0
    texts = ("", *reading.texts, "", "")
    return sum(1 for at, text in enumerate(texts) if text in NEGATIONS and not _idle(texts, at))


def _idle(texts: tuple[str, ...], at: int) -> bool:
    """A negation that denies nothing. `texts` is padded: one place before, two after."""
    before, text, after, last = texts[at - 1], texts[at], texts[at + 1], len(texts) - 3
    if text == "no":
        return after in _AFTER_NO or at == last
    if text != "not":
        return False
    tag = (at == last and before == "or") or (at + 1 == last and before in _ASKING and after in _PRONOUNS)
    polite = at == 2 and before in _POLITE and after in {"you", "someone"}  # `couldn't you tell me …`
    return tag or polite or after in _AFTER_NOT or (before == "or" and "whether" in texts[:at])


def _negates(longer: str, shorter: str) -> bool:
    """`unsafe` of `safe`, `overweight` of `weight`."""
    cut = len(longer) - len(shorter)
    return cut > 1 and len(shorter) >= 4 and longer.endswith(shorter) and longer[:cut] in _PREFIXES


def _used_to(reading: Reading) -> bool:
    """`did she use to work`, `he used to be`; not `a tool used to cut`."""
    texts = reading.texts
    return any(
        (word == "use" and "did" in texts[:at]) or (word == "used" and texts[at + 2] in {"be", "have"})
        for at, word in enumerate(texts[:-2])
        if texts[at + 1] == "to"
    )

"""What kind of answer is wanted: in which language and in which form."""

from __future__ import annotations

from gateway.core.guards.lexicon import FORMATS, LANGUAGES
from gateway.core.guards.reading import Reading, rows

_LANGUAGES = rows(LANGUAGES)
_FORMATS = rows(FORMATS)


def languages_disagree(asked: Reading, stored: Reading) -> str | None:
    return "language" if _rows(asked, _LANGUAGES) != _rows(stored, _LANGUAGES) else None


def formats_disagree(asked: Reading, stored: Reading) -> str | None:
    return "format" if _rows(asked, _FORMATS) != _rows(stored, _FORMATS) else None


def _rows(reading: Reading, table: dict[str, frozenset[int]]) -> frozenset[int]:
    found: set[int] = set()
    for word in reading.words:
        found |= table.get(word.stem, frozenset())
    return frozenset(found)

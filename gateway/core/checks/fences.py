"""Fenced blocks of Markdown: what an answer gives as code, and what it says around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(
    r"^[ \t]{0,12}(```+|~~~+)[ \t]*([\w+#.-]*)[^\n`]*\n(.*?)^[ \t]{0,12}\1`*[ \t]*$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """One closed fence; `language` is in lower case, "" where none is named."""

    language: str
    text: str


def blocks(answer: str) -> Iterator[Block]:
    """Closed fences only: what is cut off is another check's matter."""
    for found in _FENCE.finditer(answer):
        yield Block(found.group(2).lower(), found.group(3))


def without_fences(answer: str) -> str:
    return _FENCE.sub("", answer)

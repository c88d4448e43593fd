"""Fenced blocks of Markdown: what an answer gives as code, and what it says around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"[ \t]{0,12}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^`]*")


@dataclass(frozen=True, slots=True)
class Block:
    """One closed fence; `language` is in lower case, "" where none is named."""

    language: str
    text: str


def blocks(answer: str) -> list[Block]:
    """Closed fences only: what is cut off is another check's matter."""
    return _parted(answer)[0]


def without_fences(answer: str) -> str:
    return _parted(answer)[1] if "```" in answer or "~~~" in answer else answer


def _parted(answer: str) -> tuple[list[Block], str]:
    """The blocks, and the lines outside of them; those after a fence that is never closed are outside. Line by line, so
    that no number of fences takes more than linear time."""
    found: list[Block] = []
    outside: list[str] = []
    inside: list[str] = []
    fence = language = ""
    for line in answer.split("\n"):
        mark = _FENCE.fullmatch(line)
        if not fence and mark:
            fence, language, inside = mark[1], mark[2].lower(), [line]
        elif fence and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            found.append(Block(language, "\n".join(inside[1:])))
            fence = ""
        else:
            (inside if fence else outside).append(line)
    return found, "\n".join([*outside, *inside] if fence else outside)

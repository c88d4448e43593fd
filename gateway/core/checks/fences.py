"""Fenced blocks of Markdown: what an answer gives as code, and what it says around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"[ \t]{0,12}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^`]*")

_MARKS = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class Block:
    """One closed fence; `language` is in lower case, "" where none is named."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Parted:
    """The closed fences of an answer, and its other lines: what is not closed is prose, and another check's matter."""

    blocks: tuple[Block, ...]
    prose: str


def parted(answer: str) -> Parted:
    """Line by line, so that no number of fences takes more than linear time."""
    if not any(mark in answer for mark in _MARKS):
        return Parted((), answer)
    found: list[Block] = []
    outside: list[str] = []
    inside: list[str] = []
    fence = language = ""
    for line in answer.split("\n"):
        mark = _FENCE.fullmatch(line) if line.lstrip()[:3] in _MARKS else None
        if mark and not fence:
            fence, language, inside = mark[1], mark[2].lower(), [line]
        elif mark and mark[1].startswith(fence) and not mark[2]:
            found.append(Block(language, "\n".join(inside[1:])))
            fence = ""
        else:
            (inside if fence else outside).append(line)
    return Parted(tuple(found), "\n".join([*outside, *inside] if fence else outside))

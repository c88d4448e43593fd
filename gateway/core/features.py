"""What a classifier may look at: counts and flags of a request, from a bounded part of its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.chat import ChatRequest, text_of

SCANNED_CHARS = 2_000
"""Only this much of a text is read: linear work, however long the prompt (ROUTING study: 2,000 characters suffice).
Of a longer one its two ends, because what is asked stands before or after what it is asked about."""

# No pattern may look at a character many times over: 2,000 hostile ones must not cost milliseconds.
_CODE_LINE = re.compile(
    r"^[ \t]*(?:def |class |import |from \w+ import |function |const |let |#include|public |SELECT |CREATE TABLE )",
    re.MULTILINE,
)
_CODE = re.compile(r"```|=>|\b\w+\(\w*\)[ \t]*[{:]|Traceback \(most recent|[;{}][ \t]*$", re.MULTILINE)
_CODE_SIGNS = ("`", "=>", "(", ";", "{", "}")
"""The second pattern matches nothing without one of these."""
_MATHS = re.compile(
    r"\\(?:frac|int|sum|lim|sqrt)|\$[^$\n\\^_=]*[\\^_=][^$\n]*\$|[∫∑√≤≥∀∃]|\b\w\^\d|\bd[xy]/d[xy]\b"
    r"|\b\d+[ \t]*[=<>][ \t]*\w+[ \t]*[+*/^-]"
)
_MATHS_SIGNS = "\\$∫∑√≤≥∀∃^/=<>"
"""No formula is without one of these, and looking for them takes a hundredth of the time."""
_CONSTRAINT = re.compile(
    r"\b(?:must(?: not)?|should(?: not)?|exactly|at (?:least|most)|no more than|only|without|ensure|avoid|include|"
    r"do not|don't|never|always|in the format|as json|step by step)\b|^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Features:
    """`question` is the last user message, of a long one its two ends. `chars` counts all text of the conversation,
    `turns` its user messages. `constraints` counts rules the answer must obey."""

    question: str
    question_chars: int
    chars: int
    turns: int
    tools: int
    images: int
    schema: bool
    code: bool
    maths: bool
    constraints: int


def features_of(chat: ChatRequest) -> Features:
    """Pure and linear in the (capped) text: some tens of microseconds for a short prompt."""
    contents = [message.get("content") for message in chat.messages]
    texts = [content if type(content) is str else text_of(content) for content in contents]
    users = [at for at, message in enumerate(chat.messages) if message["role"] == "user"]
    asked = texts[users[-1]] if users else ""
    scanned = _two_ends(asked)
    rules = _two_ends(texts[0]) if chat.messages[0]["role"] in ("system", "developer") else ""
    return Features(
        question=scanned,
        question_chars=len(asked),
        chars=sum(map(len, texts)),
        turns=len(users),
        tools=len(chat.body.get("tools") or ()),
        images=sum([_images(content) for content in contents if type(content) is list]),
        schema=wants_schema(chat.body),
        code=_is_code(scanned),
        maths=any(sign in scanned for sign in _MATHS_SIGNS) and _MATHS.search(scanned) is not None,
        constraints=len(_CONSTRAINT.findall(scanned.lower())) + len(_CONSTRAINT.findall(rules.lower())),
    )


def _is_code(text: str) -> bool:
    if _CODE_LINE.search(text) is not None:
        return True
    return any(sign in text for sign in _CODE_SIGNS) and _CODE.search(text) is not None


def _two_ends(text: str) -> str:
    half = SCANNED_CHARS // 2
    return text if len(text) <= SCANNED_CHARS else f"{text[:half]}\n{text[-half:]}"


def _images(content: list[Any]) -> int:
    return sum(part["type"] == "image_url" for part in content)


def wants_schema(body: Mapping[str, Any]) -> bool:
    response_format = body.get("response_format")
    return isinstance(response_format, dict) and response_format.get("type") == "json_schema"

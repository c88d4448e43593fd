"""How an answer ended: with nothing, with a refusal, or before its end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.core.chat import ChatRequest

_REFUSAL = re.compile(
    r"\W{0,4}(?:(?:i(?:'| a)m|we(?:'| a)re) (?:(?:very|so|really) )?(?:sorry|afraid|unable)|"
    r"i (?:apologi[sz]e|regret|can(?:'t| ?not)|could(?:n't| not)|won't|will not|do(?:n't| not) (?:have|feel))|"
    r"(?:sorry|unfortunately|as an ai)\b)"
)
_DENIAL = re.compile(
    r"\b(?:can(?:'t| ?not)|could(?:n't| not)|won't|(?:am|are|'m|'re) (?:not able|unable)|"
    r"not (?:able|allowed|permitted|comfortable)|don't (?:have|feel)|do not (?:have|feel)) (?:\w+ ){0,4}?"
    r"(?:assist|help|provide|fulfil\w*|comply|answer|respond|generate|create|discuss|share|support|access|process|"
    r"ability|able|capab\w+|permission|comfortable|information|see|view|open|browse)"
)
_MOST_CHARS = 600
"""A longer text that begins with an apology has something to say after it."""


def refusal(choice: Mapping[str, Any]) -> str | None:
    """The provider's own mark, or a short answer that begins by saying sorry and denies what was asked."""
    message = choice["message"]
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        return "refused"
    text = (message.get("content") or "").strip()
    if len(text) > _MOST_CHARS or message.get("tool_calls"):
        return None
    lower = text.lower().replace("’", "'")
    return "declined" if _REFUSAL.match(lower) and _DENIAL.search(lower) else None


def truncation(chat: ChatRequest, choice: Mapping[str, Any]) -> str | None:
    """A limit that the client set is what it asked for; any other has cut the answer."""
    if choice.get("finish_reason") == "length" and chat.max_tokens is None:
        return "cut at the model's limit"
    return None


def emptiness(chat: ChatRequest, choice: Mapping[str, Any]) -> str | None:
    """Nothing said and nothing called. With a stop string of the client's own, nothing may be right."""
    message = choice["message"]
    said = (message.get("content") or "").strip()
    other = any(message.get(name) for name in ("tool_calls", "function_call", "refusal", "audio"))
    return None if said or other or chat.body.get("stop") else "empty"

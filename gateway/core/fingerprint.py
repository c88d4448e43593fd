"""Two questions are the same only if everything that can change the answer is the same.

The exact key is a SHA-256 over the canonical JSON of the *whole* body less a deny-list, so a parameter invented
tomorrow already separates answers (an allow-list would merge them: litellm #42400, #5049). The semantic scope is the
same hash without the text of the last user message, which is compared by meaning instead.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import orjson

from gateway.core.chat import ChatRequest, text_of

# Fields that name the caller or the transport and cannot change what the answer says.
DENY_LIST = frozenset(
    {
        "model",  # stands in the key as what the plan resolved it to
        "stream",
        "stream_options",
        "user",
        "metadata",
        "store",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "service_tier",
    }
)


def exact_key(chat: ChatRequest, scope: str, resolved: str) -> str:
    """Hex digest. `scope` isolates tenants and namespaces; `resolved` is the tier or the pinned model."""
    return _digest("exact", chat, list(chat.messages), scope, resolved)


def semantic_scope(chat: ChatRequest, scope: str, resolved: str, engine: str) -> str:
    """Hex digest of everything but the question; a hard filter. `engine` is the embedder's, so vectors never mix."""
    last = {key: value for key, value in chat.messages[-1].items() if key != "content"}
    return _digest("semantic:" + engine, chat, [*chat.messages[:-1], last], scope, resolved)


def question(chat: ChatRequest) -> str | None:
    """The text compared by meaning: the last message, if it is a user's and nothing but text. None: exact only."""
    last = chat.messages[-1]
    if last["role"] != "user":
        return None
    content = last["content"]
    if isinstance(content, list) and any(part["type"] != "text" for part in content):
        return None
    text = text_of(content)
    return text if text.strip() else None


def _digest(kind: str, chat: ChatRequest, messages: list[Any], scope: str, resolved: str) -> str:
    body = {key: value for key, value in chat.body.items() if key not in DENY_LIST}
    body["messages"] = messages
    canonical = orjson.dumps([kind, scope, resolved, body], option=orjson.OPT_SORT_KEYS)
    if not canonical.isascii():
        canonical = unicodedata.normalize("NFC", canonical.decode()).encode()
    return hashlib.sha256(canonical).hexdigest()

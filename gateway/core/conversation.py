"""Which requests are turns of one conversation, told by what they say alone.

A client that goes on sends what it sent before, the answer, and what comes after it. So all that a request says up to
its last answer is all that the request before it said, and a hash of that finds the one from the other. The tools are
in it: providers put them before the messages in what they cache.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from gateway.core.chat import ChatRequest

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Turn:
    """`key` is what the next turn will find this one by; `before` finds the last one, None where there was none."""

    key: bytes
    before: bytes | None
    number: int
    """Of the user's messages so far."""


def turn_of(chat: ChatRequest, service: str) -> Turn:
    """Nobody's conversation is found by another service. 2 µs, and 1 ms for a megabyte."""
    messages = chat.messages
    answered = next((at for at in range(len(messages) - 1, 0, -1) if messages[at]["role"] == "assistant"), 0)
    digest = hashlib.blake2b(orjson.dumps([service, chat.body.get("tools")]), digest_size=_DIGEST_BYTES)
    for message in messages[:answered]:
        digest.update(orjson.dumps(message))
    before = digest.digest() if answered else None
    for message in messages[answered:]:
        digest.update(orjson.dumps(message))
    return Turn(digest.digest(), before, sum(message["role"] == "user" for message in messages))

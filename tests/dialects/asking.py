"""Requests for the encoding tests: a body in, the provider's body out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from gateway.core.chat import parse_chat
from gateway.core.profile import Profile
from gateway.dialects.dialect import Dialect, Target, WireRequest

ABLE = Profile(vision=True, documents=True, reasoning="effort")
"""A model that can do everything a test does not take away."""

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,aGk="
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"a":1}'}}


def encode(
    dialect: Dialect, *, ours: int | None = None, facts: dict[str, Any] | None = None, **body: Any
) -> WireRequest:
    """The wire request for `body` (messages default to one user's "Hi"), with `facts` changed in the profile."""
    chat = parse_chat({"model": "auto", "messages": [USER], **body})
    return dialect.encode(chat, Target("upstream-model", replace(ABLE, **(facts or {})), ours))


def sent(dialect: Dialect, **asked: Any) -> dict[str, Any]:
    """Only the body."""
    body: dict[str, Any] = orjson.loads(encode(dialect, **asked).body)
    return body

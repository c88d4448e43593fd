"""A chat request: typed where the gateway looks, the client's body untouched for the provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request, already validated by `parse_chat`.

    `body` is the client's JSON object without the `thriftgate` field; nobody mutates it. `max_tokens` is the output
    limit the client asked for, under either of its two names. `include_usage` is the client's own wish: upstream is
    always asked for usage, and it is hidden again if the client did not ask.
    """

    model: str
    messages: tuple[Message, ...]
    body: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None

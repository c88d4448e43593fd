"""What makes one provider different from another: its paths, its refusals, and the wire form of its answers."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from asyncio import Event
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.loopback.answer import Answer


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not 2xx."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Received:
    """One request as it arrived, and what became of it. Header names are lower case.

    `disconnected` is set when the client closes the connection before the response is complete. `produced_tokens`
    counts what was sent, whether or not the client read it. `refusal` is set when the request broke a rule.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: Any
    disconnected: Event = field(default_factory=Event)
    completed: Event = field(default_factory=Event)
    produced_tokens: int = 0
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Frames:
    """A response body in the portions it is sent in.

    `pieces` carry one token each; `head` opens the answer, `tail` closes it (finish reason, usage) and `end` is the
    terminal event, without which the answer must not be taken for a whole one.
    """

    content_type: str
    pieces: tuple[bytes, ...]
    head: bytes = b""
    tail: bytes = b""
    end: bytes = b""

    def __iter__(self) -> Iterator[bytes]:
        return (part for part in (self.head, *self.pieces, self.tail, self.end) if part)


class Flavour(ABC):
    """One kind of provider. Stateless but for its configuration: the server keeps what happened."""

    chat_paths: ClassVar[frozenset[str]]
    base_path: ClassVar[str] = ""
    keep_alive: ClassVar[bytes] = b": keep-alive\n\n"

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key

    @abstractmethod
    def credentials(self) -> dict[str, str]:
        """The headers a correct client sends."""

    @abstractmethod
    def check(self, request: Received) -> Refusal | None:
        """What the real one refuses, in the order it looks: key, path, body."""

    def lookup(self, request: Received) -> Mapping[str, Any] | None:
        """The answer to a request that is no chat (models, embeddings, health), or None."""
        return None

    @abstractmethod
    def echo(self, body: Mapping[str, Any]) -> Answer:
        """The default answer, derived from the last user message."""

    @abstractmethod
    def fit(self, body: Mapping[str, Any], answer: Answer) -> Answer:
        """The answer, cut at the limit and the stop strings that the request asks for."""

    @abstractmethod
    def whole(self, request: Received, answer: Answer) -> Mapping[str, Any]:
        """The answer to `stream: false`."""

    @abstractmethod
    def frames(self, request: Received, answer: Answer) -> Frames:
        """The answer to `stream: true`."""

    @abstractmethod
    def refusal(self, status: int, message: str | None = None) -> Refusal:
        """A refusal of this status in this provider's own shape and words."""

    @abstractmethod
    def error_event(self, message: str) -> bytes:
        """A failure in the middle of a stream."""

    def headers(self, request: Received) -> dict[str, str]:
        """Headers on every response."""
        return {"x-request-id": f"req_{request.number}"}


def sse(data: Mapping[str, Any] | str, event: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """What the user said last, parts joined."""
    for message in reversed(messages):
        if message["role"] == "user":
            return text_of(message.get("content"))
    return ""


def text_of(content: object) -> str:
    """The text of a message's content, whether a string or parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text", "") for part in parts if part.get("type") == "text")

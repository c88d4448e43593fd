"""Parsed requests for tests, as short as the test needs them."""

from __future__ import annotations

from typing import Any

from gateway.core.chat import ChatRequest, Message, parse_chat


def user(content: object) -> Message:
    return {"role": "user", "content": content}


def asked(*messages: Message | str, model: str = "auto", **fields: Any) -> ChatRequest:
    """A request with these messages; a plain string is what a user says."""
    said = [user(message) if isinstance(message, str) else message for message in messages or ("Hello",)]
    return parse_chat({"model": model, "messages": said, **fields})


def picture(url: object = "https://example.org/cat.png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}

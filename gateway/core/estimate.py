"""How many tokens a request may take: a true upper bound for reservations, a likely figure for choosing a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway.core.chat import ChatRequest
from gateway.core.profile import Profile

DEFAULT_OUTPUT_TOKENS = 4_096
"""The output limit the gateway sets for a budgeted service when neither the client nor the catalog names one."""
IMAGE_TOKENS = 4_096
"""More than any vendor's documented maximum for one picture in high detail (about 1,600 to 3,000, 2026-11)."""
_PER_MESSAGE_TOKENS = 16
_PER_REQUEST_TOKENS = 64
CHARS_PER_TOKEN = 4
_ATTACHMENT_TOKENS = 1_600
"""A large picture, about, at Anthropic (vision guide, 2026-11); a page of a PDF is of the same order."""
_TEMPLATE_TOKENS = 4
_COUNTED = ("messages", "tools", "functions", "response_format")
_ATTACHED = ("image_url", "file", "input_audio")


def prompt_bound(chat: ChatRequest, profile: Profile) -> int:
    """Tokens, never too few: a byte-level tokenizer cannot make more tokens than there are UTF-8 bytes.

    JSON punctuation is counted too and stands for the template a provider wraps around each message.
    """
    pictures = () if chat.plain else _pictures(chat)
    counted = _bytes_without(pictures, chat) + _PER_MESSAGE_TOKENS * len(chat.messages) + _PER_REQUEST_TOKENS
    if pictures:
        counted += len(pictures) * IMAGE_TOKENS
    return counted + len(profile.default_system.encode()) if profile.default_system else counted


def prompt_likely(chat: ChatRequest) -> int:
    """Tokens, about: a quarter of the bytes. For choosing between models, never for money."""
    return _bytes_without(() if chat.plain else _pictures(chat), chat) // CHARS_PER_TOKEN + _PER_MESSAGE_TOKENS


def countable(chat: ChatRequest) -> tuple[str, int]:
    """For a local tokenizer: the text of the prompt, and tokens to add for what is no text (pictures, files and the
    template around each message)."""
    unseen = sum(_ATTACHMENT_TOKENS for _ in _attachments(chat)) + _TEMPLATE_TOKENS * (len(chat.messages) + 1)
    tools = chat.body.get("tools")
    return "\n".join([*_strings(chat.messages), orjson.dumps(tools).decode() if tools else ""]), unseen


def output_limit(chat: ChatRequest, profile: Profile) -> int:
    """Tokens the answer may have, all choices together: the client's limit, else the model's, else the default."""
    most = profile.max_output_tokens
    limit = chat.max_tokens or most or DEFAULT_OUTPUT_TOKENS
    return (most if most and most < limit else limit) * choices_of(chat)


def choices_of(chat: ChatRequest) -> int:
    """How many answers are asked for at once; each may be as long as the limit that is sent upstream."""
    if "n" not in chat.body:
        return 1
    choices = chat.body["n"]
    return choices if isinstance(choices, int) and choices > 1 else 1


def _bytes_without(pictures: Sequence[str], chat: ChatRequest) -> int:
    body = chat.body
    asked = {key: body[key] for key in _COUNTED if key in body}
    size_bytes = len(orjson.dumps(asked))
    return size_bytes - sum(map(len, pictures)) if pictures else size_bytes


def _pictures(chat: ChatRequest) -> list[str]:
    """Their URLs."""
    pictures: list[str] = []
    for message in chat.messages:
        content: Any = message.get("content")
        if isinstance(content, list):
            pictures.extend(_picture(part.get("image_url")) for part in content if part["type"] == "image_url")
    return pictures


def _picture(image: object) -> str:
    url = image.get("url") if isinstance(image, dict) else image
    return url if isinstance(url, str) else ""


def _attachments(chat: ChatRequest) -> Iterator[Any]:
    for message in chat.messages:
        content: Any = message.get("content")
        if isinstance(content, list):
            yield from (part for part in content if part["type"] in _ATTACHED)


def _strings(value: Any) -> Iterator[str]:
    """Every text in the messages: what is said, called and answered, without the fields' names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and value.get("type") not in _ATTACHED:
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)

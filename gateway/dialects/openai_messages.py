"""A client's history, made acceptable to an OpenAI-like provider without touching what it says.

Clients send answers back as they got them (`message.model_dump()`): with nulls, with output-only fields, with another
provider's fields. OpenAI refuses some of these with a 400, so they are left out. A message that needs nothing is
passed on as the same object, and nothing is ever changed in place: the bytes stay stable, so prompt caches still hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.chat import Message, text_of

SYSTEM_ROLES = frozenset({"system", "developer"})

# Answers carry them, requests may not. Sources: OpenAI's request schema (openai-python 3.54) and users' reports that
# a foreign key in a history is refused (LiteLLM `provider_specific_fields`, qwen-code#3304 `reasoning_content`).
OUTPUT_ONLY = frozenset(
    {"annotations", "reasoning", "reasoning_content", "thinking_blocks", "provider_specific_fields"}
)


def clean(messages: Iterable[Message], output_only: frozenset[str] = OUTPUT_ONLY) -> list[Message]:
    """The messages without nulls, empty tool_calls, `output_only` fields, and other vendors' cache marks."""
    return [_clean_message(message, output_only) for message in messages]


def _clean_message(message: Message, output_only: frozenset[str]) -> Message:
    content = message.get("content")
    marked = isinstance(content, list) and any(isinstance(part, dict) and "cache_control" in part for part in content)
    kept = {key: value for key, value in message.items() if key not in output_only and not _empty(key, value)}
    if marked and isinstance(content, list):
        kept["content"] = without_cache_marks(content)
    return kept if marked or len(kept) != len(message) else message


def _empty(key: str, value: Any) -> bool:
    return (value is None and key != "content") or (key == "tool_calls" and value == [])


def without_cache_marks(parts: Iterable[Any]) -> list[Any]:
    """Content parts or tools without Anthropic's `cache_control`, which OpenAI refuses as an unknown parameter."""
    return [_unmarked(part) if isinstance(part, dict) and "cache_control" in part else part for part in parts]


def _unmarked(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "cache_control"}


def flat(messages: Iterable[Message]) -> list[Message]:
    """The messages with lists of nothing but text parts as plain strings."""
    return [
        {**message, "content": text_of(message["content"])} if _only_text(message.get("content")) else message
        for message in messages
    ]


def _only_text(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content)


def developer_as_system(messages: Iterable[Message]) -> list[Message]:
    """The messages for a provider that knows no `developer` role."""
    return [{**message, "role": "system"} if message.get("role") == "developer" else message for message in messages]


def with_default_system(messages: Sequence[Message], text: str | None) -> list[Message]:
    """The messages, opened by `text` when none of them is a system message."""
    if text is None or any(message.get("role") in SYSTEM_ROLES for message in messages):
        return list(messages)
    return [{"role": "system", "content": text}, *messages]


def with_instruction(messages: Sequence[Message], text: str) -> list[Message]:
    """The messages with one more system message, after the leading ones, so that the prefix before it is unchanged."""
    lead = leading_systems(messages)
    return [*messages[:lead], {"role": "system", "content": text}, *messages[lead:]]


def leading_systems(messages: Sequence[Message]) -> int:
    """How many system messages open the conversation."""
    return next(
        (number for number, message in enumerate(messages) if message.get("role") not in SYSTEM_ROLES), len(messages)
    )


def merged_systems(messages: Sequence[Message]) -> list[Message]:
    """The messages with the leading system messages as one: many chat templates take only one, and only in front."""
    lead = leading_systems(messages)
    if lead < 2:
        return list(messages)
    texts = [text_of(message.get("content")) for message in messages[:lead]]
    return [{"role": "system", "content": "\n\n".join(text for text in texts if text)}, *messages[lead:]]

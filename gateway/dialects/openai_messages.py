"""A client's history, made acceptable to an OpenAI-like provider without touching what it says.

Clients send answers back as they got them (`message.model_dump()`): with nulls, with output-only fields, with another
provider's fields. OpenAI refuses some of these with a 400, so they are left out. A message that needs nothing is
passed on as the same object, and nothing is ever changed in place: the bytes stay stable, so prompt caches still hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.core.chat import Message, text_of

SYSTEM_ROLES = frozenset({"system", "developer"})

# Answers carry them, requests may not. Sources: OpenAI's request schema (openai-python 3.54) and users' reports that
# a foreign key in a history is refused (LiteLLM `provider_specific_fields`, qwen-code#3304 `reasoning_content`).
OUTPUT_ONLY = frozenset(
    {"annotations", "reasoning", "reasoning_content", "thinking_blocks", "provider_specific_fields"}
)


# What a client may put on a content part or a tool to say "cache up to here": Anthropic's, and OpenAI's since 5.6.
CACHE_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})


def clean(messages: Iterable[Message], output_only: frozenset[str] = OUTPUT_ONLY) -> list[Message]:
    """The messages without nulls, empty tool_calls, and `output_only` fields."""
    return [_clean_message(message, output_only) for message in messages]


def _clean_message(message: Message, output_only: frozenset[str]) -> Message:
    kept = {key: value for key, value in message.items() if key not in output_only and not _empty(key, value)}
    return kept if len(kept) != len(message) else message


def _empty(key: str, value: Any) -> bool:
    return (value is None and key != "content") or (key == "tool_calls" and value == [])


def strip_cache_marks(body: dict[str, Any], marks: frozenset[str]) -> list[str]:
    """Take `marks` off messages and tools: OpenAI refuses an unknown one, and nobody else reads it. `body` gets new
    lists, its parts stay as they are; the marks that were found."""
    if not body.get("tools") and not any(type(message.get("content")) is list for message in body["messages"]):
        return []
    found: dict[str, None] = {}

    def bare(part: Any) -> Any:
        marked = marks & part.keys() if isinstance(part, dict) else frozenset()
        if not marked:
            return part
        found.update(dict.fromkeys(sorted(marked)))
        return {key: value for key, value in part.items() if key not in marked}

    def bare_message(message: Message) -> Message:
        content = message.get("content")
        if not isinstance(content, list):
            return message
        parts = [bare(part) for part in content]
        return {**message, "content": parts} if parts != content else message

    body["messages"] = [bare_message(message) for message in body["messages"]]
    if isinstance(body.get("tools"), list):
        body["tools"] = [bare(tool) for tool in body["tools"]]
    return list(found)


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

"""An OpenAI conversation as Anthropic's `system` and `messages`.

The rules of the Messages API that shape this file (docs.claude.com, version 2023-06-01, read 2026-11): roles
alternate, so neighbours of one role are merged; text blocks may not be blank, so blank ones are left out; all results
of one turn's tool calls stand in one user message, before its text; every id matches ^[a-zA-Z0-9_-]+$.

System and developer messages that open the conversation become `system`. Later ones keep their place, as user text
in <system> tags: their order is part of their meaning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.chat import Message
from gateway.core.errors import UnsupportedParameter
from gateway.dialects.openai_messages import SYSTEM_ROLES, leading_systems
from gateway.dialects.request_shape import mapping, objects, text

Block = dict[str, Any]

_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.I)
_FOREIGN_ID = re.compile(r"[^a-zA-Z0-9_-]")
# The first turn must be the user's; histories that open with the assistant's greeting are common.
_OPENING: Block = {"type": "text", "text": "(start)"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Anthropic's two places for what OpenAI keeps in one list."""

    system: list[Block]
    turns: list[dict[str, Any]]


def to_anthropic(messages: tuple[Message, ...], *, thinking: bool) -> Conversation:
    """The conversation. `thinking`: send thinking blocks back; without it the API would only discard them.

    Raises UnsupportedParameter naming the message or part that has no counterpart.
    """
    lead = leading_systems(messages)
    system = [
        block for number in range(lead) for block in _parts(messages[number].get("content"), f"messages[{number}]")
    ]
    turns = _merged(
        turn
        for number in range(lead, len(messages))
        for turn in _turns(messages[number], f"messages[{number}]", thinking)
    )
    if not turns:  # only system messages: OpenAI answers those, Anthropic wants a user turn
        return Conversation([], [{"role": "user", "content": system}])
    if turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [_OPENING]})
    return Conversation(system, turns)


def _turns(message: Message, place: str, thinking: bool) -> Iterator[tuple[str, list[Block]]]:
    role, content = message.get("role"), message.get("content")
    if role in SYSTEM_ROLES:
        yield "user", [_later_system(block) for block in _parts(content, place)]
    elif role == "user":
        yield "user", _parts(content, place)
    elif role == "tool":
        yield "user", [_tool_result(message, place)]
    elif role == "assistant":
        yield "assistant", _assistant(message, place, thinking)
    else:
        raise UnsupportedParameter(f"Anthropic has no role `{role}`.", param=f"{place}.role")


def _later_system(block: Block) -> Block:
    return {**block, "text": f"<system>{block['text']}</system>"} if block["type"] == "text" else block


def _merged(turns: Iterable[tuple[str, list[Block]]]) -> list[dict[str, Any]]:
    """Neighbours of one role as one turn, empty turns gone, tool results first in each."""
    merged: list[dict[str, Any]] = []
    for role, blocks in turns:
        if not blocks:
            continue
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += blocks
        else:
            merged.append({"role": role, "content": list(blocks)})
    for turn in merged:
        turn["content"].sort(key=lambda block: block.get("type") != "tool_result")
    return merged


def _assistant(message: Message, place: str, thinking: bool) -> list[Block]:
    thoughts = objects(message.get("thinking_blocks"), f"{place}.thinking_blocks") if thinking else []
    parts = _parts(message.get("content") or message.get("refusal"), place)
    calls = objects(message.get("tool_calls"), f"{place}.tool_calls")
    uses = [_tool_use(call, f"{place}.tool_calls[{number}]") for number, call in enumerate(calls)]
    return [*thoughts, *parts, *uses]


def _tool_use(call: Mapping[str, Any], place: str) -> Block:
    if call.get("type", "function") != "function":
        raise UnsupportedParameter("Anthropic knows only function tool calls.", param=f"{place}.type")
    function = mapping(call.get("function"), f"{place}.function")
    return {
        "type": "tool_use",
        "id": tool_id(call.get("id")),
        "name": function.get("name"),
        "input": arguments_object(text(function.get("arguments"), f"{place}.function.arguments")),
    }


def arguments_object(written: str) -> dict[str, Any]:
    """Arguments are an object there. What a model got wrong is wrapped, not refused: the loop must be able to go on."""
    try:
        parsed = orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        parsed = written
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}


def tool_id(id: Any) -> str:
    """Another provider's call id, made acceptable; the same id always becomes the same one, different ones differ."""
    given = str(id)
    clean = _FOREIGN_ID.sub("_", given)
    if clean == given and given:
        return given
    return f"{clean}_{hashlib.sha256(given.encode()).hexdigest()[:12]}"


def _tool_result(message: Message, place: str) -> Block:
    result: Block = {"type": "tool_result", "tool_use_id": tool_id(message.get("tool_call_id"))}
    content = _parts(message.get("content"), place)
    if content:
        result["content"] = content
    return result


def _parts(content: Any, place: str) -> list[Block]:
    """Content blocks, without blank text."""
    if not isinstance(content, list):
        content = [{"type": "text", "text": content}]
    blocks = (_block(part, f"{place}.content[{number}]") for number, part in enumerate(content))
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


def _block(part: Any, place: str) -> Block:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text":
        block: Block = {"type": "text", "text": text(part.get("text"), f"{place}.text")}
    elif kind == "refusal":
        block = {"type": "text", "text": text(part.get("refusal"), f"{place}.refusal")}
    elif kind == "image_url":
        block = {"type": "image", "source": _image(part.get("image_url"), place)}
    elif kind == "file":
        block = _document(part.get("file"), place)
    else:
        raise UnsupportedParameter(f"Anthropic takes no `{kind}` content.", param=place)
    if part.get("cache_control") is not None:
        block["cache_control"] = part["cache_control"]
    return block


def _image(image: Any, place: str) -> dict[str, Any]:
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str) and url.startswith("https://"):
        return {"type": "url", "url": url}
    media_type, data = _data_url(url)
    if media_type not in _IMAGE_TYPES:
        raise UnsupportedParameter("Anthropic takes jpeg, png, gif and webp, as data: or https: URLs.", param=place)
    return {"type": "base64", "media_type": media_type, "data": data}


def _document(file: Any, place: str) -> Block:
    media_type, data = _data_url(file.get("file_data") if isinstance(file, Mapping) else None)
    if media_type != "application/pdf":
        raise UnsupportedParameter("Anthropic takes files only as PDF in `file_data`.", param=place)
    block: Block = {"type": "document", "source": {"type": "base64", "media_type": media_type, "data": data}}
    if isinstance(file.get("filename"), str):
        block["title"] = file["filename"]
    return block


def _data_url(url: Any) -> tuple[str | None, str]:
    match = _DATA_URL.match(url) if isinstance(url, str) else None
    return (match[1].lower(), url[match.end() :]) if match else (None, "")

"""An Anthropic conversation as OpenAI's messages.

Two things move. Tool results are messages of their own, before the rest of their turn; a picture in one follows as a
user's, because OpenAI's tool messages hold only text. And an assistant's thoughts stand beside its content: their text
in `reasoning_content`, the signed blocks, which only Anthropic can read, in `thinking_blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.core.chat import Message
from gateway.core.errors import InvalidRequest
from gateway.dialects.request_shape import mapping, objects, text

Block = Mapping[str, Any]
Part = dict[str, Any]

REFUSED_SINCE_2026 = "Extra inputs are not permitted"


def refused(place: str, words: str) -> InvalidRequest:
    """In Anthropic's manner: the place, then what is wrong with it."""
    return InvalidRequest(f"{place}: {words}", param=place)


def to_messages(system: object, messages: object, *, strict: bool) -> list[Message]:
    """`strict` is API version 2026-10-21. Raises InvalidRequest naming the block."""
    conversation = [
        message for number, entry in enumerate(_listed(messages)) for message in _turn(entry, number, strict)
    ]
    return [*_system(system), *conversation]


def _listed(messages: object) -> list[dict[str, Any]]:
    listed = objects(messages, "messages")
    if not listed:
        raise refused("messages", "at least one message is required")
    return listed


def _system(system: object) -> Iterator[Message]:
    if isinstance(system, str):
        yield {"role": "system", "content": system}
    elif system:
        parts = [_text(block, f"system.{at}") for at, block in enumerate(objects(system, "system"))]
        yield {"role": "system", "content": _content(parts)}


def _turn(message: Block, number: int, strict: bool) -> Iterator[Message]:
    place = f"messages.{number}"
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant"):
        words = f'Unexpected role "{role}". Send "user" or "assistant"; `system` is a top-level parameter.'
        raise refused(place, words)
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    blocks = objects(content, f"{place}.content")
    if not blocks:
        raise refused(f"{place}.content", "all messages must have non-empty content")
    placed: list[tuple[Block, str]] = [(block, f"{place}.content.{at}") for at, block in enumerate(blocks)]
    if role == "assistant":
        yield _assistant(placed)
    else:
        yield from _user(placed, strict)


def _user(placed: list[tuple[Block, str]], strict: bool) -> Iterator[Message]:
    rest: list[Part] = []
    for block, place in placed:
        if block.get("type") == "tool_result":
            result, beside = _tool_result(block, place)
            yield result
            rest += beside
        else:
            rest += _parts(block, place, strict)
    if rest:
        yield {"role": "user", "content": _content(rest)}


def _tool_result(block: Block, place: str) -> tuple[Message, list[Part]]:
    """The tool's message, and what of its result it cannot hold."""
    content = block.get("content")
    listed = [{"type": "text", "text": content}] if isinstance(content, str) else objects(content, f"{place}.content")
    parts = [part for at, inner in enumerate(listed) for part in _parts(inner, f"{place}.content.{at}", False)]
    said = [part for part in parts if part["type"] == "text"]
    if block.get("is_error"):  # OpenAI has no such mark; a model reads it all the same
        said.insert(0, {"type": "text", "text": "Error:"})
    if said and block.get("cache_control") is not None:
        said[-1] = {**said[-1], "cache_control": block["cache_control"]}
    message = {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": _content(said)}
    return message, [part for part in parts if part["type"] != "text"]


def _assistant(placed: list[tuple[Block, str]]) -> Message:
    parts: list[Part] = []
    calls: list[Part] = []
    thoughts: list[Block] = []
    for block, place in placed:
        match block.get("type"):
            case "text":
                parts.append(_text(block, place))
            case "tool_use":
                calls.append(_tool_call(block, place))
            case "thinking" | "redacted_thinking":
                thoughts.append(block)
            case kind:
                raise _unexpected(place, kind)
    message: Message = {"role": "assistant", "content": None if calls and not parts else _content(parts)}
    if calls:
        message["tool_calls"] = calls
    if reasoning := "".join(text(block.get("thinking"), "thinking") for block in thoughts):
        message["reasoning_content"] = reasoning
    if signed := [block for block in thoughts if block.get("signature") or block.get("data")]:
        message["thinking_blocks"] = signed
    return message


def _tool_call(block: Block, place: str) -> Part:
    arguments = orjson.dumps(mapping(block.get("input"), f"{place}.input")).decode()
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}


def _parts(block: Block, place: str, strict: bool) -> list[Part]:
    """A user's block: one part, or several for a document that is made of blocks."""
    match block.get("type"):
        case "text":
            if strict and block.get("citations"):
                raise refused(f"{place}.citations", REFUSED_SINCE_2026)
            return [_text(block, place)]
        case "image":
            return [_marked({"type": "image_url", "image_url": {"url": _image_url(block, place)}}, block)]
        case "document":
            return _document(block, place)
        case kind:
            raise _unexpected(place, kind)


def _document(block: Block, place: str) -> list[Part]:
    if mapping(block.get("citations"), f"{place}.citations").get("enabled"):
        raise refused(f"{place}.citations", "no model here can cite; leave it out")
    source = mapping(block.get("source"), f"{place}.source")
    match source.get("type"):
        case "base64":
            file = {"filename": block.get("title") or "document.pdf", "file_data": _data_url(source, place)}
            return [_marked({"type": "file", "file": file}, block)]
        case "text":
            title = text(block.get("title"), f"{place}.title")
            said = "\n\n".join(filter(None, [title, text(source.get("data"), f"{place}.source.data")]))
            return [_marked({"type": "text", "text": said}, block)]
        case "content":
            content = source.get("content")
            inner = [{"type": "text", "text": content}] if isinstance(content, str) else objects(content, place)
            return [part for at, one in enumerate(inner) for part in _parts(one, f"{place}.source.content.{at}", False)]
        case kind:
            raise refused(f"{place}.source.type", f"`{kind}` documents are not available here; send the data itself")


def _image_url(block: Block, place: str) -> str:
    source = mapping(block.get("source"), f"{place}.source")
    if source.get("type") == "url":
        return text(source.get("url"), f"{place}.source.url")
    if source.get("type") != "base64":
        words = f"`{source.get('type')}` images are not available here; send `base64` or `url`"
        raise refused(f"{place}.source.type", words)
    return _data_url(source, place)


def _data_url(source: Block, place: str) -> str:
    data = text(source.get("data"), f"{place}.source.data")
    return f"data:{text(source.get('media_type'), f'{place}.source.media_type')};base64,{data}"


def _text(block: Block, place: str) -> Part:
    if block.get("type") != "text":
        raise _unexpected(place, block.get("type"))
    return _marked({"type": "text", "text": text(block.get("text"), f"{place}.text")}, block)


def _marked(part: Part, block: Block) -> Part:
    """With its cache mark: providers that know it read it, the others' dialects take it out."""
    mark = block.get("cache_control")
    return part if mark is None else {**part, "cache_control": mark}


def _content(parts: list[Part]) -> str | list[Part]:
    """One plain text is a string, so that the same question has the same cache key in every API."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        written: str = parts[0]["text"]
        return written
    return parts


def _unexpected(place: str, kind: object) -> InvalidRequest:
    words = f"Input tag '{kind}' found using 'type' does not match any of the expected tags"
    return refused(place, words)

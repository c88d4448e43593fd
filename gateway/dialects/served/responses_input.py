"""The `input` of a Responses request as OpenAI chat messages.

Items are flatter than messages: a tool call is an item of its own, and belongs to the assistant message before it if
there is one; reasoning is an item too, and belongs to the assistant message after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chat import Message
from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.dialects.request_shape import objects, text

Item = Mapping[str, Any]
Part = dict[str, Any]

_ROLES = ("user", "assistant", "system", "developer")


def to_messages(given: object) -> list[Message]:
    """A string is a user's message. Raises InvalidRequest naming the item."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    items = objects(given, "input")
    if not items:
        raise InvalidRequest("`input` must be a string or a non-empty list of items.", param="input")
    conversation = _Conversation()
    for at, item in enumerate(items):
        conversation.add(item, f"input[{at}]")
    return conversation.messages


class _Conversation:
    """Messages under construction. Reasoning that no assistant's item follows is left out: nothing could hold it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._reasoning = ""

    def add(self, item: Item, place: str) -> None:
        match item.get("type", "message"):
            case "message":
                self._message(item, place)
            case "function_call":
                self._call(item, place)
            case "function_call_output":
                self.messages.append(self._reasoned(_output(item, place)))
            case "reasoning":
                self._reasoning += _reasoning(item, place)
            case "item_reference":
                words = f"`{place}` refers to a stored item; nothing is stored here: send the item itself."
                raise UnsupportedParameter(words, param=place)
            case kind:
                raise UnsupportedParameter(
                    f"`{place}` is a `{kind}`, which no model here takes.", param=f"{place}.type"
                )

    def _message(self, item: Item, place: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            raise InvalidRequest(f"`{place}.role` must be one of {', '.join(_ROLES)}.", param=f"{place}.role")
        content = _content(item.get("content"), f"{place}.content")
        self.messages.append(self._reasoned({"role": role, "content": content}))

    def _call(self, item: Item, place: str) -> None:
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": None})
        last = self._reasoned(self.messages[-1])
        function = {"name": item.get("name"), "arguments": text(item.get("arguments"), f"{place}.arguments")}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        last["tool_calls"] = [*last.get("tool_calls", ()), call]

    def _reasoned(self, message: Message) -> Message:
        if message["role"] == "assistant" and self._reasoning:
            message["reasoning_content"] = self._reasoning
        self._reasoning = ""
        return message


def _output(item: Item, place: str) -> Message:
    content = _content(item.get("output"), f"{place}.output")
    if isinstance(content, list) and any(part["type"] != "text" for part in content):
        raise UnsupportedParameter(
            f"`{place}.output` must be text: no tool message holds more.", param=f"{place}.output"
        )
    return {"role": "tool", "tool_call_id": item.get("call_id"), "content": content}


def _reasoning(item: Item, place: str) -> str:
    """Its own text; a summary is for people. Encrypted reasoning is another provider's and is left out."""
    parts = objects(item.get("content"), f"{place}.content")
    return "".join(text(part.get("text"), f"{place}.content") for part in parts)


def _content(content: object, place: str) -> str | list[Part]:
    """One plain text is a string, so that the same question has the same cache key in every API."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{place}[{at}]") for at, part in enumerate(objects(content, place))]
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        written: str = parts[0]["text"]
        return written
    return parts or ""


def _part(part: Item, place: str) -> Part:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": text(part.get("text"), f"{place}.text")}
        case "refusal":
            return {"type": "refusal", "refusal": text(part.get("refusal"), f"{place}.refusal")}
        case "input_image" if isinstance(part.get("image_url"), str):
            image = {"url": part["image_url"]}
            if part.get("detail") is not None:
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        case "input_file" if isinstance(part.get("file_data"), str):
            file = {"filename": part.get("filename") or "file.pdf", "file_data": part["file_data"]}
            return {"type": "file", "file": file}
        case "input_image" | "input_file":
            words = f"`{place}` must bring its data or an image's URL: files are not stored here."
            raise UnsupportedParameter(words, param=place)
        case kind:
            raise UnsupportedParameter(f"`{place}` is `{kind}`, which no model here takes.", param=f"{place}.type")

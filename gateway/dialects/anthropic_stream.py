"""Anthropic's event stream, event by event, as OpenAI chunks.

message_start opens with the role; each content block opens, grows and stops; message_delta brings the stop reason and
the *cumulative* usage (it replaces, adding it counts twice: langchainjs#10249); message_stop ends. A body that ends
without message_stop is cut. Events and blocks that are not known here are passed over, as the API's versioning asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.core.chunks import Chunk
from gateway.core.errors import UpstreamCut
from gateway.dialects.anthropic_answer import THOUGHTS, finish_reason, openai_usage, refusal_text
from gateway.dialects.event_stream import EventStream
from gateway.dialects.payload import malformed, parse_object
from gateway.dialects.refusal import refusal_in_stream

_Event = Mapping[str, Any]


class AnthropicStream(EventStream):
    """One streamed answer."""

    def __init__(self) -> None:
        super().__init__()
        self._envelope: Chunk = {}
        self._usage: dict[str, Any] = {}
        self._block: dict[str, Any] = {}  # the content block being written; blocks do not overlap
        self._arguments_came = False
        self._tools = 0
        self._finished = False
        self._handlers: Mapping[str, Callable[[_Event], list[Chunk]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "error": self._error,
        }

    def _read(self, name: str, data: bytes) -> list[Chunk]:
        parsed = parse_object(data)
        kind = parsed.get("type", name)
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            return []
        if not self._envelope and kind not in ("message_start", "error"):
            raise malformed("does not begin with message_start")
        return handler(parsed)

    def _message_start(self, event: _Event) -> list[Chunk]:
        message = _object(event, "message")
        self._usage = dict(_object(message, "usage")) if message.get("usage") else {}
        self._envelope = {
            "id": message.get("id"),
            "object": "chat.completion.chunk",
            "created": 0,
            "model": message.get("model"),
        }
        return [self._chunk({"role": "assistant", "content": None})]

    def _block_start(self, event: _Event) -> list[Chunk]:
        self._block = dict(_object(event, "content_block"))
        if self._block.get("type") != "tool_use":
            return []
        self._arguments_came = False
        self._tools += 1
        function = {"name": self._block.get("name"), "arguments": ""}
        return [self._tool({"id": self._block.get("id"), "type": "function", "function": function})]

    def _block_delta(self, event: _Event) -> list[Chunk]:
        delta = _object(event, "delta")
        match delta:
            case {"type": "text_delta", "text": str(text)} if text:
                return [self._chunk({"content": text})]
            case {"type": "input_json_delta", "partial_json": str(text)} if text:
                if self._block.get("type") != "tool_use":  # a tool that Anthropic runs itself
                    return []
                self._arguments_came = True
                return [self._tool({"function": {"arguments": text}})]
            case {"type": "thinking_delta", "thinking": str(text)} if text:
                self._block["thinking"] = _so_far(self._block, "thinking") + text
                return [self._chunk({"reasoning_content": text})]
            case {"type": "signature_delta", "signature": str(text)}:
                self._block["signature"] = _so_far(self._block, "signature") + text
        return []

    def _block_stop(self, event: _Event) -> list[Chunk]:
        block, self._block = self._block, {}
        if block.get("type") in THOUGHTS:
            return [self._chunk({"thinking_blocks": [block]})]
        if block.get("type") == "tool_use" and not self._arguments_came:
            # A call without arguments streams only ""; clients parse what they get as JSON (LiteLLM#8066).
            return [self._tool({"function": {"arguments": orjson.dumps(block.get("input") or {}).decode()}})]
        return []

    def _message_delta(self, event: _Event) -> list[Chunk]:
        usage = event.get("usage")
        if isinstance(usage, Mapping):
            self._usage.update((key, value) for key, value in usage.items() if value is not None)
        delta = _object(event, "delta")
        stop_reason = delta.get("stop_reason")
        if stop_reason is None or self._finished:
            return []
        self._finished = True
        finish = self._chunk({}, finish_reason(stop_reason))
        if stop_reason == "refusal":
            return [self._chunk({"refusal": refusal_text(delta.get("stop_details"))}), finish]
        return [finish]

    def _message_stop(self, event: _Event) -> list[Chunk]:
        self._done = True
        if not self._finished:
            raise UpstreamCut("The provider's answer ended without a stop_reason.", reached=True)
        return [{**self._envelope, "choices": [], "usage": openai_usage(self._usage)}] if self._usage else []

    def _error(self, event: _Event) -> list[Chunk]:
        raise refusal_in_stream(event.get("error", event))

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> Chunk:
        return {**self._envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    def _tool(self, fragment: dict[str, Any]) -> Chunk:
        """`index` counts tools, not blocks: text may have come first (LiteLLM#5231)."""
        return self._chunk({"tool_calls": [{"index": self._tools - 1, **fragment}]})


def _object(event: _Event, key: str) -> Mapping[str, Any]:
    value = event.get(key)
    if not isinstance(value, Mapping):
        raise malformed(f"has an event without `{key}`")
    return value


def _so_far(block: Mapping[str, Any], key: str) -> str:
    value = block.get(key)
    return value if isinstance(value, str) else ""

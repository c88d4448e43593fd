"""OpenAI's chat stream, as OpenAI and those who imitate it send it, decoded to the gateway's own convention.

This is the hot path: a chunk is parsed once and then passed on as that same dict, mended in place where an imitator
left the convention of `core/chunks.py`. What is mended: a missing role on a choice's first delta, a second
finish_reason, usage that rides on another chunk, chunks without choices. What is not: order, ids, unknown fields.

A stream is whole when every choice has its finish_reason *and* `[DONE]` has come. OpenAI's SDK does not notice a
stream that merely ends; we do, and call it cut even after a finish_reason: a proxy that dies between the last two
events looks exactly like that, and the usage would be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.chunks import Chunk
from gateway.core.errors import UpstreamCut
from gateway.dialects.event_stream import EventStream
from gateway.dialects.payload import malformed, parse_object
from gateway.dialects.refusal import refusal_in_stream

Tidy = Callable[[dict[str, Any]], None]
"""Takes a provider's own additions out of a chunk or a completion, in place; raises for what is really an error."""


class OpenAIStream(EventStream):
    """One streamed answer. `usage_per_choice`: each usage counts one choice's output (llama.cpp), so they add up;
    else the last one stands."""

    __slots__ = ("_envelope", "_finished", "_started", "_tidy", "_usage", "_usage_per_choice")

    def __init__(self, tidy: Tidy, *, usage_per_choice: bool = False) -> None:
        super().__init__()
        self._tidy = tidy
        self._usage_per_choice = usage_per_choice
        self._started: set[int] = set()
        self._finished: set[int] = set()
        self._envelope: Chunk = {}
        self._usage: dict[str, Any] = {}

    def _read(self, name: str, data: bytes) -> list[Chunk]:
        if data == b"[DONE]":
            return self._end()
        chunk = parse_object(data)
        if name == "error" or ("error" in chunk and chunk["error"] is not None):
            raise refusal_in_stream(chunk.get("error", chunk))
        self._tidy(chunk)
        if "object" not in chunk:
            chunk["object"] = "chat.completion.chunk"
        if "created" not in chunk:
            chunk["created"] = 0
        usage = chunk.pop("usage") if "usage" in chunk else None
        if usage and isinstance(usage, dict):
            self._count(usage)
        choices = chunk.get("choices")
        if not choices:  # usage alone, or what clients who read choices[0] must not see (Azure's filter results)
            if usage is None and choices is None:
                raise malformed("has a chunk without choices")
            return []
        if not isinstance(choices, list):
            raise malformed("has choices that are not a list")
        for part in choices:
            self._mend(part)
        self._envelope = chunk
        return [chunk]

    def _count(self, usage: dict[str, Any]) -> None:
        if self._usage and self._usage_per_choice:
            for key in ("completion_tokens", "total_tokens"):
                usage[key] = _tokens(usage, key) + _tokens(self._usage, "completion_tokens")
        self._usage = usage

    def _mend(self, part: Any) -> None:
        """Hold one choice to the convention, in place."""
        if not isinstance(part, dict):
            raise malformed("has a choice that is not an object")
        if "index" not in part:
            part["index"] = 0
        index = part["index"]
        if not isinstance(index, int):
            raise malformed("has a choice whose index is not a number")
        delta = part.get("delta")
        if not isinstance(delta, dict):
            if delta is not None:
                raise malformed("has a delta that is not an object")
            delta = part["delta"] = {}
        if index not in self._started:
            self._started.add(index)
            delta["role"] = "assistant"
        if "tool_calls" in delta:
            _check_tool_calls(delta["tool_calls"])
        if "finish_reason" not in part or index in self._finished:
            part["finish_reason"] = None
        elif part["finish_reason"] is not None:
            self._finished.add(index)

    def _end(self) -> list[Chunk]:
        self._done = True
        if not self._started or self._started - self._finished:
            raise UpstreamCut("The provider's answer ended without a finish_reason.", reached=True)
        if not self._usage:
            return []
        envelope = {key: value for key, value in self._envelope.items() if key != "choices"}
        return [{**envelope, "choices": [], "usage": self._usage}]


def _tokens(usage: Mapping[str, Any], key: str) -> int:
    count = usage.get(key)
    return count if isinstance(count, int) else 0


def _check_tool_calls(calls: object) -> None:
    """What the assembler takes for granted."""
    whole = isinstance(calls, list | None) and all(
        isinstance(call, dict) and isinstance(call.get("index"), int | None) for call in calls or ()
    )
    if not whole:
        raise malformed("has tool calls that are not a list of objects")

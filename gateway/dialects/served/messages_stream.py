"""Chunks as Anthropic's event stream.

message_start, then content blocks that do not overlap, each with its start, deltas and stop, then message_delta with
the stop reason and the usage, then message_stop. The usage of other providers comes last, so message_start has zeros
and message_delta, whose counts are cumulative and replace them, has the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chunks import Chunk
from gateway.core.errors import ThriftgateError, UpstreamMalformed
from gateway.dialects.served.api import anthropic_failure
from gateway.dialects.served.messages_answer import Block, anthropic_usage, ending, envelope, thinking, tool_use
from gateway.dialects.sse import encode_event


class MessageStream:
    """`rendering.StreamRendering` for messages. `shows_thinking`: see `MessageRendering`."""

    def __init__(self, request_id: str, *, shows_thinking: bool) -> None:
        self._request_id = request_id
        self._hears_reasoning = shows_thinking
        self._frames: list[bytes] = []
        self._started = False
        self._open: str | None = None  # the type of the block being written
        self._block = -1  # its index, or that of the last one
        self._call = -1  # OpenAI's index of the last tool call
        self._refusal = ""
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def frame(self, chunk: Chunk) -> bytes:
        if not self._started:
            self._start(chunk.get("model"))
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        for choice in chunk["choices"]:
            self._delta(choice.get("delta") or {})
            if choice.get("finish_reason"):
                self._finish_reason = choice["finish_reason"]
                self._stop_block()
        return self._written()

    def end(self) -> bytes:
        self._stop_block()
        delta = ending(self._finish_reason, self._refusal or None, called=self._call >= 0)
        self._say("message_delta", delta=delta, usage=anthropic_usage(self._usage))
        self._say("message_stop")
        return self._written()

    def failure(self, error: ThriftgateError) -> bytes:
        return self._written() + encode_event("error", anthropic_failure(error, self._request_id))

    def _start(self, model: object) -> None:
        self._started = True
        message = envelope(self._request_id, model)
        message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": anthropic_usage(None)}
        self._say("message_start", message=message)

    def _delta(self, delta: Mapping[str, Any]) -> None:
        if self._hears_reasoning and delta.get("reasoning_content"):
            self._grow(thinking(""), {"type": "thinking_delta", "thinking": delta["reasoning_content"]})
        for block in delta.get("thinking_blocks") or ():
            self._signed(block)
        if delta.get("content"):
            self._grow({"type": "text", "text": ""}, {"type": "text_delta", "text": delta["content"]})
        if delta.get("refusal"):
            self._refusal += delta["refusal"]
        for call in delta.get("tool_calls") or ():
            self._tool(call)

    def _grow(self, opening: Block, delta: Block) -> None:
        if self._open != opening["type"]:
            self._start_block(opening)
        self._say("content_block_delta", index=self._block, delta=delta)

    def _signed(self, block: Block) -> None:
        """A whole thinking block. Its text has been heard if the block is open; an answer from a cache tells the block
        first and its text again afterwards."""
        if block.get("type") != "thinking":
            self._start_block(block)
        elif self._open != "thinking":
            self._hears_reasoning = False
            self._start_block(thinking(""))
            self._grow(block, {"type": "thinking_delta", "thinking": block.get("thinking", "")})
        if block.get("signature"):
            self._grow(block, {"type": "signature_delta", "signature": block["signature"]})
        self._stop_block()

    def _tool(self, fragment: Mapping[str, Any]) -> None:
        """A fragment belongs to the call at its index; without one, an id opens a call."""
        index = fragment.get("index")
        if index is None:
            index = self._call + 1 if fragment.get("id") else self._call
        if index > self._call:
            self._call = index
            self._start_block(tool_use(fragment, index))
        elif index < self._call or self._open != "tool_use":
            raise UpstreamMalformed("The provider's tool calls are interleaved.", reached=True)
        arguments = (fragment.get("function") or {}).get("arguments")
        if arguments:
            delta = {"type": "input_json_delta", "partial_json": arguments}
            self._say("content_block_delta", index=self._block, delta=delta)

    def _start_block(self, block: Block) -> None:
        self._stop_block()
        self._open = block["type"]
        self._block += 1
        self._say("content_block_start", index=self._block, content_block=block)

    def _stop_block(self) -> None:
        if self._open is not None:
            self._say("content_block_stop", index=self._block)
            self._open = None

    def _say(self, name: str, **fields: Any) -> None:
        self._frames.append(encode_event(name, {"type": name, **fields}))

    def _written(self) -> bytes:
        written = b"".join(self._frames)
        self._frames.clear()
        return written

"""/v1/chat/completions: the gateway's own language, so almost nothing is left to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chat import parse_chat
from gateway.core.chunks import Chunk, Completion
from gateway.core.errors import ThriftgateError
from gateway.dialects.served.api import openai_failure
from gateway.dialects.served.rendering import Served, StreamRendering
from gateway.dialects.sse import DONE, encode


def read_chat(body: object, headers: Mapping[str, str], request_id: str) -> Served:
    """`rendering.Read` for chat completions."""
    chat = parse_chat(body)
    return Served(chat, ChatRendering(chat.include_usage))


class ChatRendering:
    """Upstream is always asked for usage; a client that did not ask sees no trace of it in a stream."""

    as_is = True

    def __init__(self, include_usage: bool) -> None:
        self._include_usage = include_usage

    def whole(self, completion: Completion) -> dict[str, Any]:
        return completion

    def stream(self) -> StreamRendering:
        return ChatStream(self._include_usage)


class ChatStream:
    """Only `data:` lines, and one `[DONE]`. A failure is an error event and no `[DONE]`."""

    __slots__ = ("_include_usage",)

    def __init__(self, include_usage: bool) -> None:
        self._include_usage = include_usage

    def frame(self, chunk: Chunk) -> bytes:
        """Many clients index `choices[0]`, so who did not ask for usage never sees a chunk without choices; who did
        sees `usage: null` on all chunks but the last."""
        if not chunk["choices"]:
            return encode(chunk) if self._include_usage and chunk.get("usage") is not None else b""
        if self._include_usage:
            return encode({**chunk, "usage": None})
        if "usage" in chunk:
            return encode({key: value for key, value in chunk.items() if key != "usage"})
        return encode(chunk)

    def end(self) -> bytes:
        return DONE

    def failure(self, error: ThriftgateError) -> bytes:
        return encode(openai_failure(error))

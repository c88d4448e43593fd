"""/v1/messages and its count_tokens: Anthropic in, from any backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chat import ChatRequest, parse_chat
from gateway.core.chunks import Completion
from gateway.dialects.served.messages_answer import anthropic_usage, blocks, ending, envelope
from gateway.dialects.served.messages_request import thinks, to_chat, version_of
from gateway.dialects.served.messages_stream import MessageStream
from gateway.dialects.served.rendering import Served, StreamRendering


def read_messages(body: object, headers: Mapping[str, str], request_id: str) -> Served:
    """`rendering.Read` for messages."""
    chat, dropped = to_chat(body, version_of(headers))
    return Served(parse_chat(chat), MessageRendering(request_id, shows_thinking=thinks(body)), dropped)


def read_count(body: object, headers: Mapping[str, str]) -> ChatRequest:
    """The request whose tokens are to be counted. Raises InvalidRequest."""
    chat, _ = to_chat(body, version_of(headers), limited=False)
    return parse_chat(chat)


class MessageRendering:
    """`shows_thinking`: a client that did not ask for thinking finds text first, as at Anthropic, whatever the backend
    thought aloud. Signed thinking is Claude's own and is always given, for Claude wants it back."""

    as_is = False

    def __init__(self, request_id: str, *, shows_thinking: bool) -> None:
        self._request_id = request_id
        self._shows_thinking = shows_thinking

    def whole(self, completion: Completion) -> dict[str, Any]:
        choice = completion["choices"][0]
        message = choice["message"]
        return {
            **envelope(self._request_id, completion.get("model")),
            "content": blocks(message, shows_thinking=self._shows_thinking),
            **ending(choice.get("finish_reason"), message.get("refusal"), called=bool(message.get("tool_calls"))),
            "usage": anthropic_usage(completion.get("usage")),
        }

    def stream(self) -> StreamRendering:
        return MessageStream(self._request_id, shows_thinking=self._shows_thinking)

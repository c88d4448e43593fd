"""Anthropic's own Messages API, version 2023-06-01, which is pinned: 2026-10-21 refuses sampling parameters even at
their defaults, and model rows say through `sampling` where the older version refuses them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.chat import ChatRequest
from gateway.core.chunks import Completion
from gateway.core.errors import UpstreamError
from gateway.dialects.anthropic_answer import to_completion
from gateway.dialects.anthropic_messages import to_anthropic
from gateway.dialects.anthropic_options import Options
from gateway.dialects.anthropic_stream import AnthropicStream
from gateway.dialects.capability import check_capabilities
from gateway.dialects.dialect import StreamDecoder, Target, WireRequest
from gateway.dialects.emulation import chained
from gateway.dialects.openai_messages import with_default_system
from gateway.dialects.payload import parse_object
from gateway.dialects.refusal import refusal, refusal_in_stream


class Anthropic:
    """https://api.anthropic.com."""

    def credentials(self, api_key: str | None) -> Mapping[str, str]:
        key = {"x-api-key": api_key} if api_key else {}
        return {**key, "anthropic-version": "2023-06-01"}

    def encode(self, chat: ChatRequest, target: Target) -> WireRequest:
        check_capabilities(chat, target.profile)
        options = Options(chat, target)
        messages = tuple(with_default_system(chat.messages, target.profile.default_system))
        conversation = to_anthropic(messages, thinking=options.thinking)
        _end_prefill(conversation.turns)
        system = [*conversation.system, *({"type": "text", "text": text} for text in options.instructions)]
        body = {**options.wire, **({"system": system} if system else {}), "messages": conversation.turns}
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if chat.stream else "application/json",
        }
        mend = chained(*options.mends) if options.mends else None
        return WireRequest("/v1/messages", headers, orjson.dumps(body), tuple(options.dropped), mend)

    def decode(self, body: bytes) -> Completion:
        answer = parse_object(body)
        if answer.get("type") == "error":
            raise refusal_in_stream(answer.get("error"))
        return to_completion(answer)

    def decoder(self) -> StreamDecoder:
        return AnthropicStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return refusal(status, headers, body)


def _end_prefill(turns: list[dict[str, Any]]) -> None:
    """An answer the client has begun may be continued, but no space may end it."""
    last = turns[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()

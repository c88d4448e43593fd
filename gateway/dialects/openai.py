"""OpenAI's own chat completions, and what its imitators share with it.

Fields we have never heard of pass through untouched. We replace what is ours to decide: the model's name, the output
limit and its field, and `stream_options`, because we always want the usage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from gateway.core.chat import ChatRequest, Message
from gateway.core.chunks import Completion, Mend
from gateway.core.errors import UpstreamError
from gateway.core.profile import Profile, nearest_effort
from gateway.dialects.capability import check_capabilities
from gateway.dialects.dialect import StreamDecoder, Target, WireRequest
from gateway.dialects.emulation import chained, first_call_only, following
from gateway.dialects.json_schema import schema_instruction, schema_of
from gateway.dialects.openai_messages import (
    CACHE_MARKS,
    OUTPUT_ONLY,
    clean,
    strip_cache_marks,
    with_default_system,
    with_instruction,
)
from gateway.dialects.openai_stream import OpenAIStream
from gateway.dialects.parameters import Speaker, settle
from gateway.dialects.payload import malformed, parse_object
from gateway.dialects.refusal import refusal, refusal_in_stream

_HEADERS_WHOLE = {"content-type": "application/json", "accept": "application/json"}
_HEADERS_STREAM = {"content-type": "application/json", "accept": "text/event-stream"}


class OpenAI:
    """https://api.openai.com/v1. An imitator overrides `adapt`, `messages`, `emulate` and `tidy`."""

    speaker: ClassVar[Speaker] = "openai"
    emulates_schemas: ClassVar[bool] = False
    """Whether no model of this provider takes a JSON schema, whatever its row says."""
    output_only: ClassVar[frozenset[str]] = OUTPUT_ONLY
    """What this provider takes in no message."""

    def credentials(self, api_key: str | None) -> Mapping[str, str]:
        return {"authorization": f"Bearer {api_key}"} if api_key else {}

    def encode(self, chat: ChatRequest, target: Target) -> WireRequest:
        profile = target.profile
        check_capabilities(chat, profile)
        body, dropped = settle(chat.body, self.speaker, profile)
        body["model"] = target.model
        body["messages"] = chat.messages
        body["stream"] = chat.stream
        if not chat.plain or "tools" in body:
            dropped += strip_cache_marks(body, self._foreign_marks(profile))
            body["messages"] = clean(body["messages"], self.output_only)
        body["messages"] = self.messages(body["messages"], profile)
        _limit_output(body, chat, target)
        _ask_for_usage(body, chat.stream)
        dropped += self.adapt(body, profile)
        mends = self.emulate(body, profile)
        return WireRequest(
            "/chat/completions",
            _HEADERS_STREAM if chat.stream else _HEADERS_WHOLE,
            orjson.dumps(body),
            tuple(dict.fromkeys(dropped)) if dropped else (),
            chained(*mends) if mends else None,
        )

    def _foreign_marks(self, profile: Profile) -> frozenset[str]:
        """The cache marks that this provider, or this model of it, does not know."""
        if self.speaker == "openai" and profile.prompt_cache in (None, "breakpoints"):
            return CACHE_MARKS - {"prompt_cache_breakpoint"}
        return CACHE_MARKS

    def messages(self, messages: Sequence[Message], profile: Profile) -> list[Message]:
        """The conversation, which is clean, as this provider wants it."""
        return with_default_system(messages, profile.default_system)

    def adapt(self, body: dict[str, Any], profile: Profile) -> list[str]:
        """Change the request's other fields in place; the names of dropped hints. Raises UnsupportedParameter."""
        if "tools" not in body and "reasoning_effort" not in body:
            return []
        asked = body.get("reasoning_effort")
        if body.get("tools") and not profile.effort_with_tools:
            return _without_effort(body, asked, profile)
        if asked is None or not profile.efforts:
            return []
        chosen = nearest_effort(asked, profile.efforts)
        body["reasoning_effort"] = chosen or asked  # a name that is newer than ours is the provider's to judge
        return ["reasoning_effort"] if asked == "none" != chosen else []

    def emulate(self, body: dict[str, Any], profile: Profile) -> list[Mend]:
        """Ask in another way, in place, for what the model cannot do; what is then to be done to the answer."""
        mends: list[Mend] = []
        schema = schema_of(body["response_format"]) if "response_format" in body else None
        if schema is not None and (self.emulates_schemas or profile.json_schema == "emulated"):
            mends.append(following(schema))
            body["response_format"] = {"type": "json_object"}
            body["messages"] = with_instruction(body["messages"], schema_instruction(schema))
        if not profile.parallel_tools and body.pop("parallel_tool_calls", None) is False and body.get("tools"):
            mends.append(first_call_only)
        return mends

    def tidy(self, answer: dict[str, Any]) -> None:
        """Take this provider's own additions out of a completion or a chunk, in place."""

    def decode(self, body: bytes) -> Completion:
        completion = parse_object(body)
        if "error" in completion and completion["error"] is not None:
            raise refusal_in_stream(completion["error"])
        self.tidy(completion)
        choices = completion.get("choices")
        if not isinstance(choices, list) or not choices:
            raise malformed("has no choices")
        for number, choice in enumerate(choices):
            _mend_choice(choice, number)
        completion["object"] = "chat.completion"
        if "created" not in completion:
            completion["created"] = 0
        if "usage" in completion and completion["usage"] is None:
            del completion["usage"]
        return completion

    def decoder(self) -> StreamDecoder:
        return OpenAIStream(self.tidy)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return refusal(status, headers, body)


def _without_effort(body: dict[str, Any], asked: object, profile: Profile) -> list[str]:
    """Tools are the harder wish. "To use function tools, use /v1/responses or set reasoning_effort to 'none'." """
    body.pop("reasoning_effort", None)
    if "none" in profile.efforts:
        body["reasoning_effort"] = "none"
    return ["reasoning_effort"] if asked not in (None, "none") else []


def _limit_output(body: dict[str, Any], chat: ChatRequest, target: Target) -> None:
    for field in ("max_tokens", "max_completion_tokens"):
        body.pop(field, None)
    limit = target.output_limit(chat.max_tokens)
    if limit is not None:
        body[target.profile.limit_field] = limit


def _ask_for_usage(body: dict[str, Any], stream: bool) -> None:
    """`stream_options` is refused without `stream` (OpenAI, 400)."""
    asked = body.pop("stream_options") if "stream_options" in body else None
    if stream:
        body["stream_options"] = {**(asked if isinstance(asked, dict) else {}), "include_usage": True}


def _mend_choice(choice: Any, number: int) -> None:
    """What everybody downstream takes for granted, in place."""
    if type(choice) is not dict or "message" not in choice or type(choice["message"]) is not dict:
        raise malformed("has a choice without a message")
    message = choice["message"]
    if "index" not in choice:
        choice["index"] = number
    if "finish_reason" not in choice:
        choice["finish_reason"] = None
    if "content" not in message:
        message["content"] = None
    message["role"] = "assistant"
    if message.get("tool_calls"):
        _mend_calls(message["tool_calls"])


def _mend_calls(calls: Any) -> None:
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise malformed("has tool calls that are not a list of objects")
    for call in calls:
        call.pop("index", None)  # DeepSeek sends it outside streams too

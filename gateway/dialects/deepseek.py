"""DeepSeek: OpenAI's shapes, with its own words for thinking and caching. Facts from api-docs.deepseek.com, 2026-11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.chat import Message
from gateway.core.errors import UpstreamOverloaded
from gateway.core.profile import Profile, nearest_effort
from gateway.core.tool_choice import is_forced
from gateway.dialects.openai import OpenAI
from gateway.dialects.openai_messages import (
    OUTPUT_ONLY,
    developer_as_system,
    flat,
    with_default_system,
)

_EFFORTS = ("none", "low", "high", "max")
# From guides/thinking_mode; the other names become the next stronger one.
_AS_THEY_MAP_IT = {"xhigh": "high", "ultra": "max"}


class DeepSeek(OpenAI):
    """https://api.deepseek.com."""

    speaker = "deepseek"
    emulates_schemas = True  # "This response_format type is unavailable now"
    output_only = OUTPUT_ONLY - {"reasoning_content"}

    def messages(self, messages: Sequence[Message], profile: Profile) -> list[Message]:
        spoken = flat(developer_as_system(messages))
        return with_default_system([_with_reasoning(message) for message in spoken], profile.default_system)

    def adapt(self, body: dict[str, Any], profile: Profile) -> list[str]:
        asked = body.pop("reasoning_effort", None)
        if body.get("tools") and is_forced(body.get("tool_choice")):
            return _without_thinking(body, asked)
        known = _AS_THEY_MAP_IT.get(asked, asked) if isinstance(asked, str) else asked
        effort = nearest_effort(known, profile.efforts or _EFFORTS)
        if effort == "none":
            body.setdefault("thinking", {"type": "disabled"})
        elif effort is not None:
            body["reasoning_effort"] = effort
        return ["reasoning_effort"] if effort is None and asked is not None else []

    def tidy(self, answer: dict[str, Any]) -> None:
        usage = answer.get("usage")
        if isinstance(usage, dict):
            answer["usage"] = _openai_usage(usage)
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("finish_reason") == "insufficient_system_resource":
                raise UpstreamOverloaded("DeepSeek broke the answer off for lack of resources.", reached=True)


def _without_thinking(body: dict[str, Any], effort: object) -> list[str]:
    """ "Thinking mode does not support this tool_choice": the forced tool is the client's harder wish."""
    thinking = body.get("thinking")
    body["thinking"] = {"type": "disabled"}
    dropped = ["reasoning_effort"] if effort not in (None, "none") else []
    return dropped if thinking in (None, body["thinking"]) else [*dropped, "thinking"]


def _with_reasoning(message: Message) -> Message:
    """A tool call sent back without `reasoning_content` is a 400, and most clients drop it: "" is accepted."""
    if message.get("role") == "assistant" and message.get("tool_calls"):
        return {"reasoning_content": "", **message}
    return message


def _openai_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """`prompt_cache_hit_tokens` + `prompt_cache_miss_tokens` = `prompt_tokens`; hits are OpenAI's `cached_tokens`."""
    plain = {key: value for key, value in usage.items() if not key.startswith("prompt_cache_")}
    hit = usage.get("prompt_cache_hit_tokens")
    if hit is not None:
        details = usage.get("prompt_tokens_details")
        plain["prompt_tokens_details"] = {**(details if isinstance(details, dict) else {}), "cached_tokens": hit}
    return plain

"""Tokens of one answer. Only a dialect turns a provider's words into this; everything else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gateway.core.frozen import value

Source = Literal["upstream", "estimated"]


@value(frozen=True, slots=True)
class Usage:
    """Tokens, all >= 0. `input_tokens` = uncached + cache_read + cache_write (OpenAI's rule).

    The others are parts: an hour's writes (Anthropic's `ttl: 1h`) of all writes, audio input of the uncached input,
    reasoning and audio output of the output.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    source: Source = "upstream"
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0

    @property
    def uncached_tokens(self) -> int:
        """Input tokens billed at the full input price."""
        return self.input_tokens - self.cache_read_tokens - self.cache_write_tokens

    @property
    def cache_write_short_tokens(self) -> int:
        """Written for the provider's usual time: 5 minutes at Anthropic, 30 at OpenAI."""
        return self.cache_write_tokens - self.cache_write_1h_tokens

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            "estimated" if "estimated" in (self.source, other.source) else "upstream",
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            self.audio_input_tokens + other.audio_input_tokens,
            self.audio_output_tokens + other.audio_output_tokens,
        )

    @classmethod
    def from_openai(cls, usage: Mapping[str, Any]) -> Usage:
        """Read an OpenAI-shaped usage object: absent or impossible counts are 0, parts never exceed the whole.

        OpenAI does not say how much of the audio was cached: what cannot be is counted as audio.
        """
        input_tokens = _count(usage.get("prompt_tokens"))
        output_tokens = _count(usage.get("completion_tokens"))
        prompt_details = _details(usage.get("prompt_tokens_details"))
        completion_details = _details(usage.get("completion_tokens_details"))
        if not (prompt_details or completion_details):
            return cls(input_tokens, output_tokens)
        cache_read = min(_count(prompt_details.get("cached_tokens")), input_tokens)
        cache_write = min(_count(prompt_details.get("cache_write_tokens")), input_tokens - cache_read)
        written = _details(prompt_details.get("cache_write_tokens_details"))
        return cls(
            input_tokens,
            output_tokens,
            cache_read,
            cache_write,
            min(_count(completion_details.get("reasoning_tokens")), output_tokens),
            cache_write_1h_tokens=min(_count(written.get("ttl_1h_tokens")), cache_write),
            audio_input_tokens=min(_count(prompt_details.get("audio_tokens")), input_tokens - cache_read - cache_write),
            audio_output_tokens=min(_count(completion_details.get("audio_tokens")), output_tokens),
        )

    def to_openai(self) -> dict[str, Any]:
        """The OpenAI shape, with every detail field a client may look for.

        An hour's writes, which OpenAI does not have, are named as its Responses API names its own long ones
        (`cache_write_tokens_details: {ttl_12h_tokens}`, openai-python 3.54).
        """
        long_writes = _if_any("ttl_1h_tokens", self.cache_write_1h_tokens)
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cache_read_tokens,
                "cache_write_tokens": self.cache_write_tokens,
                **({"cache_write_tokens_details": long_writes} if long_writes else {}),
                **_if_any("audio_tokens", self.audio_input_tokens),
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                **_if_any("audio_tokens", self.audio_output_tokens),
            },
        }


NO_TOKENS = Usage()


def _if_any(field: str, tokens: int) -> dict[str, int]:
    return {field: tokens} if tokens else {}


def _details(value: object) -> Mapping[str, Any]:
    """What an object says; nothing if that is all zeros, or it is none."""
    return value if value and isinstance(value, dict) and any(value.values()) else {}


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0  # not isinstance: True is no count

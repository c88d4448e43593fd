"""Tokens of one answer. Only a dialect turns a provider's words into this; everything else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["upstream", "estimated"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, all >= 0. `input_tokens` = uncached + cache_read + cache_write (OpenAI's rule)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    source: Source = "upstream"

    @property
    def uncached_tokens(self) -> int:
        """Input tokens billed at the full input price."""
        return self.input_tokens - self.cache_read_tokens - self.cache_write_tokens

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
        )

    @classmethod
    def from_openai(cls, usage: Mapping[str, Any]) -> Usage:
        """Read an OpenAI-shaped usage object: absent or impossible counts are 0, parts never exceed the whole."""
        prompt_details = _object(usage.get("prompt_tokens_details"))
        completion_details = _object(usage.get("completion_tokens_details"))
        input_tokens = _count(usage.get("prompt_tokens"))
        output_tokens = _count(usage.get("completion_tokens"))
        cache_read = min(_count(prompt_details.get("cached_tokens")), input_tokens)
        cache_write = min(_count(prompt_details.get("cache_write_tokens")), input_tokens - cache_read)
        reasoning = min(_count(completion_details.get("reasoning_tokens")), output_tokens)
        return cls(input_tokens, output_tokens, cache_read, cache_write, reasoning)

    def to_openai(self) -> dict[str, Any]:
        """The OpenAI shape, with every detail field a client may look for."""
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cache_read_tokens,
                "cache_write_tokens": self.cache_write_tokens,
            },
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

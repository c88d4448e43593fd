"""What a loopback provider says, before any wire format: text, tool calls, and the tokens they cost.

One token is one word with the white space before it. That is no real tokenizer, but it is exact: an answer of n
tokens is sent in n pieces, so the usage a provider reports equals what it produced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from gateway.core.usage import Usage

Finish = Literal["stop", "length", "tool_calls", "content_filter"]

_TOKEN = re.compile(r"\s*\S+|\s+$")
_TOKENS_PER_MESSAGE = 3


def tokens(text: str) -> list[str]:
    """The pieces a text is sent in; joined, they are the text."""
    return _TOKEN.findall(text)


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """What a chat request costs to read: its words, and three for every message."""
    words = sum(_words(body.get(field)) for field in ("system", "messages", "tools"))
    return words + _TOKENS_PER_MESSAGE * len(body["messages"])


def _words(value: object) -> int:
    if isinstance(value, str):
        return len(tokens(value))
    if isinstance(value, Mapping):
        return sum(_words(part) for key, part in value.items() if key not in ("role", "type"))
    return sum(_words(part) for part in value) if isinstance(value, list) else 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call. `arguments` is JSON text, in fragments as a model writes it. `id` None: the provider's style."""

    name: str
    arguments: str = "{}"
    id: str | None = None

    @property
    def fragments(self) -> list[str]:
        """At least one, so that a call without arguments still costs a token."""
        return tokens(self.arguments) or [""]


@dataclass(frozen=True, slots=True)
class Answer:
    """Says this. `usage` None: counted honestly. `finish` None: `tool_calls` if there are calls, else `stop`.

    `stopped_by` is the stop string that ended it, set by `within`.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    usage: Usage | None = None
    finish: Finish | None = None
    stopped_by: str | None = None

    @property
    def finished(self) -> Finish:
        return self.finish or ("tool_calls" if self.tool_calls else "stop")

    @property
    def output_tokens(self) -> int:
        calls = sum(len(call.fragments) for call in self.tool_calls)
        return len(tokens(self.reasoning)) + len(tokens(self.text)) + calls

    def within(self, limit: int | None, stop: tuple[str, ...] = ()) -> Answer:
        """Cut where the request says so: before the first stop string, then at `limit` tokens."""
        cut = self
        for mark in stop:
            if mark in cut.text:
                cut = replace(cut, text=cut.text[: cut.text.index(mark)], stopped_by=mark)
        if limit is not None and cut.output_tokens > limit:
            reasoning = tokens(cut.reasoning)[:limit]
            text = tokens(cut.text)[: limit - len(reasoning)]
            cut = replace(cut, reasoning="".join(reasoning), text="".join(text), tool_calls=(), finish="length")
        return cut

    def cost(self, body: Mapping[str, Any]) -> Usage:
        """The usage to report for this answer to that request."""
        if self.usage is not None:
            return self.usage
        return Usage(prompt_tokens(body), self.output_tokens, reasoning_tokens=len(tokens(self.reasoning)))

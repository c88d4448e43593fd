"""OpenAI chunks and completions: plain dicts, taken apart and put together again.

Inside the gateway an answer is always a stream of chunks in this order: for each choice a chunk with the role,
then its content, then exactly one chunk with a `finish_reason`; at the end, when usage is known, one chunk with
`choices: []` and `usage`. No other chunk has a `usage`. `assemble(split(c)) == c` for every completion whose
messages have a `content` (null counts) and whose choices are in order: that is a tested law, so an answer may be
stored in one form and served in the other.

Putting together follows the rule of the OpenAI SDK's `accumulate_delta` (openai-python 3.54): inside a delta,
strings grow, lists grow, objects merge, anything else is replaced, null changes nothing; so a field nobody here
has heard of survives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gateway.core.usage import Usage

Chunk = dict[str, Any]
Completion = dict[str, Any]
Mend = Callable[[Completion], Completion]
"""Makes a whole answer what the client asked for. Raises UpstreamError when it cannot be."""

# On every chunk, as OpenAI sends them: its SDK takes the fingerprint of the last chunk for the answer's.
_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
# Streamed fields, in the order a model produces them. Everything else in a message rides on the role chunk.
_STREAMED_TEXT = ("reasoning_content", "content", "refusal")
# Sent once, or repeated unchanged or empty by careless providers: never fragments of a longer string.
_WHOLE = frozenset({"role", "id", "type", "name"})
# `obfuscation` pads a chunk's size on the wire (OpenAI, 2025); it is no part of an answer.
_NOT_IN_COMPLETIONS = frozenset({"choices", "usage", "obfuscation"})


def split(completion: Completion) -> list[Chunk]:
    """The chunks that a stream of this completion would have had, each text and each tool call in one piece."""
    envelope = {key: completion[key] for key in _ENVELOPE if key in completion}
    envelope["object"] = "chat.completion.chunk"
    chunks = [{**envelope, "choices": [part]} for choice in completion["choices"] for part in _split_choice(choice)]
    if completion.get("usage") is not None:
        chunks.append({**envelope, "choices": [], "usage": completion["usage"]})
    chunks[0].update((key, completion[key]) for key in completion.keys() - chunks[0].keys() - {"usage"})
    return chunks


def _split_choice(choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    message = choice["message"]
    texts = {key: message[key] for key in _STREAMED_TEXT if isinstance(message.get(key), str) and message[key]}
    calls = message.get("tool_calls") or []
    opening = {key: value for key, value in message.items() if key not in texts and (key != "tool_calls" or not calls)}
    if "content" in texts:
        opening["content"] = ""
    deltas = [opening, *({key: text} for key, text in texts.items())]
    deltas += [{"tool_calls": [{**call, "index": index}]} for index, call in enumerate(calls)]
    parts = [{"index": choice["index"], "delta": delta, "finish_reason": None} for delta in deltas]
    parts[0].update((key, choice[key]) for key in choice.keys() - parts[0].keys() - {"message", "logprobs"})
    if "logprobs" in choice:  # beside the text they are about
        parts[[*texts].index("content") + 1 if "content" in texts else 0]["logprobs"] = choice["logprobs"]
    if choice.get("finish_reason") is not None:
        parts.append({"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]})
    return parts


class _Text(list[str]):
    """A string still growing, as its pieces: joining once is linear where `+=` on a dict's value is not."""


class _Choice:
    """One choice under construction."""

    __slots__ = ("finish_reason", "message", "rest", "tool_calls")

    def __init__(self) -> None:
        self.message: dict[str, Any] = {"role": "assistant", "content": None}
        self.tool_calls: dict[int, dict[str, Any]] = {}
        self.rest: dict[str, Any] = {}
        self.finish_reason: str | None = None

    def add(self, part: Mapping[str, Any]) -> None:
        """Take one element of a chunk's `choices`."""
        for key, value in part.items():
            if key == "delta":
                if value and "tool_calls" in value and value["tool_calls"]:
                    self._add_calls(value)
                elif value:
                    _grow(self.message, value)
            elif key == "finish_reason":
                self.finish_reason = value or self.finish_reason
            elif key == "logprobs":
                if value or key not in self.rest:
                    _grow(self.rest, {key: value})
            elif key != "index":
                self.rest[key] = value

    def _add_calls(self, delta: Mapping[str, Any]) -> None:
        _grow(self.message, {key: value for key, value in delta.items() if key != "tool_calls"})
        for call in delta["tool_calls"]:
            self._add_call(call)

    def _add_call(self, fragment: Mapping[str, Any]) -> None:
        """A fragment belongs to the call at its `index`; without one, an `id` opens a call, no `id` continues it."""
        index = fragment.get("index")
        if index is None:
            index = len(self.tool_calls) if fragment.get("id") else max(len(self.tool_calls) - 1, 0)
        call = self.tool_calls.setdefault(index, {})
        _grow(call, {key: value for key, value in fragment.items() if key != "index"})

    def finished(self, number: int) -> dict[str, Any]:
        message = _settled(self.message)
        calls = [_settled(self.tool_calls[index]) for index in sorted(self.tool_calls)]
        if calls:
            message["tool_calls"] = calls
        return {"index": number, "message": message, "finish_reason": self.finish_reason, **_settled(self.rest)}


class Assembler:
    """Chunks in, one completion out. Adding costs time in proportion to the chunk, never to the answer so far."""

    __slots__ = ("_choices", "_top", "usage")

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self.usage: dict[str, Any] | None = None
        """The provider's own count in OpenAI's shape, once it has come."""

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk. The chunk is not changed and may be sent on; its parts may be shared."""
        self._top |= chunk
        if "usage" in chunk and chunk["usage"] is not None:
            self.usage = chunk["usage"]
        for part in chunk["choices"]:
            index = part.get("index", 0)
            if index not in self._choices:
                self._choices[index] = _Choice()
            self._choices[index].add(part)

    @property
    def finish_reasons(self) -> dict[int, str | None]:
        """By choice; None for a choice that has begun and not ended."""
        return {index: choice.finish_reason for index, choice in self._choices.items()}

    def text(self) -> str:
        """All the text produced so far, choice by choice: what a token counter counts when usage is missing."""
        grown = (piece for choice in self._choices.values() for piece in _texts([choice.message, choice.tool_calls]))
        return "".join(grown)

    def usage_chunk(self, usage: Usage) -> Chunk:
        """The last chunk of an answer whose provider counted nothing."""
        envelope = {key: self._top[key] for key in _ENVELOPE if key in self._top}
        return {**envelope, "object": "chat.completion.chunk", "choices": [], "usage": usage.to_openai()}

    def completion(self) -> Completion:
        """What has come so far, as a whole answer; whether it *is* whole, `finish_reasons` says."""
        completion = {key: value for key, value in self._top.items() if key not in _NOT_IN_COMPLETIONS}
        completion["object"] = "chat.completion"
        completion["choices"] = [self._choices[index].finished(index) for index in sorted(self._choices)]
        if self.usage is not None:
            completion["usage"] = self.usage
        return completion


def assembled(chunks: Iterable[Chunk]) -> Assembler:
    """An assembler that has taken these chunks."""
    assembler = Assembler()
    for chunk in chunks:
        assembler.add(chunk)
    return assembler


def assemble(chunks: Iterable[Chunk]) -> Completion:
    """The whole answer that these chunks stream."""
    return assembled(chunks).completion()


def _grow(into: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Merge a delta. Values that are kept are copied where they will grow."""
    for key, value in delta.items():
        old = into[key] if key in into else None  # noqa: SIM401 - a call less for each word
        if isinstance(value, str) and key not in _WHOLE:
            if type(old) is _Text:
                old.append(value)
            else:
                into[key] = _Text([value])
        elif isinstance(value, dict):
            if not isinstance(old, dict):
                old = into[key] = {}
            _grow(old, value)
        elif isinstance(value, list) and isinstance(old, list):
            into[key] = [*old, *value]
        elif value not in (None, "") or key not in into:
            into[key] = value


def _settled(growing: dict[str, Any]) -> dict[str, Any]:
    """The same object with its grown texts joined."""
    return {key: _settled_value(value) for key, value in growing.items()}


def _settled_value(value: Any) -> Any:
    if isinstance(value, _Text):
        return "".join(value)
    return _settled(value) if isinstance(value, dict) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, _Text):
        yield from value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)

"""Answers for the rendering tests: any completion a provider may give, and any way of streaming it."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import strategies as st

from gateway.core.chunks import Chunk, Completion, split
from gateway.core.usage import Usage
from gateway.dialects.served.rendering import StreamRendering

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
arguments = st.dictionaries(texts, st.integers(-(2**53), 2**53) | texts | st.lists(texts, max_size=2), max_size=3)


def completion(message: dict[str, Any], finish_reason: str = "stop", usage: Usage = Usage(9, 3)) -> Completion:  # noqa: B008  # frozen
    """One choice that says `message`."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish_reason}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m"}
    return {**head, "choices": [choice], "usage": usage.to_openai()}


def tool_call(id: str, arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Thinking, text, refusal and tool calls, each there or not, however it ended."""
    message: dict[str, Any] = {}
    for field in ("reasoning_content", "content", "refusal"):
        if draw(st.booleans()):
            message[field] = draw(texts)
    calls = draw(st.lists(arguments, max_size=3))
    if calls:
        message["tool_calls"] = [tool_call(f"call_{at}", orjson.dumps(said).decode()) for at, said in enumerate(calls)]
    ends = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
    read, written, fresh, output = (draw(st.integers(0, 50)) for _ in range(4))
    return completion(message, draw(ends), Usage(read + written + fresh, output, read, written))


@st.composite
def streams(draw: st.DrawFn) -> tuple[Completion, list[Chunk]]:
    """A completion, and its chunks with every text and every tool call's arguments cut anywhere."""
    whole = draw(completions())
    return whole, [piece for chunk in split(whole) for piece in _cut(draw, chunk)]


def _cut(draw: st.DrawFn, chunk: Chunk) -> list[Chunk]:
    if not chunk["choices"]:
        return [chunk]
    choice = chunk["choices"][0]
    for field in ("reasoning_content", "content", "refusal"):
        if text := choice["delta"].get(field):
            at = draw(st.integers(0, len(text)))
            return [_with(chunk, {**choice["delta"], field: text[:at]}), _with(chunk, {field: text[at:]})]
    calls = choice["delta"].get("tool_calls")
    if not calls:
        return [chunk]
    said = calls[0]["function"]["arguments"]
    at = draw(st.integers(0, len(said)))
    first = {**calls[0], "function": {**calls[0]["function"], "arguments": said[:at]}}
    rest = {"index": calls[0]["index"], "function": {"arguments": said[at:]}}
    return [_with(chunk, {"tool_calls": [first]}), _with(chunk, {"tool_calls": [rest]})]


def _with(chunk: Chunk, delta: dict[str, Any]) -> Chunk:
    return {**chunk, "choices": [{**chunk["choices"][0], "delta": delta}]}


def events(rendering: StreamRendering, chunks: list[Chunk]) -> list[dict[str, Any]]:
    """What a client reads of a whole stream, each event's data parsed; `[DONE]` left out."""
    written = b"".join([*(rendering.frame(chunk) for chunk in chunks), rendering.end()])
    return parsed(written)


def parsed(written: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix(b"data: ") for line in written.split(b"\n") if line.startswith(b"data: ")]
    return [orjson.loads(line) for line in lines if line != b"[DONE]"]

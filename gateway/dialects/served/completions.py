"""/v1/completions, OpenAI's legacy endpoint: the prompt is a chat's one user message, the answer is given as bare text.

Behind it stands a chat model, which answers a prompt where a base model would continue it. What only makes sense for
continuing (`echo`, `suffix`, `best_of`, token prompts, logprobs in the legacy shape) is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chat import parse_chat
from gateway.core.chunks import Chunk, Completion
from gateway.core.errors import InvalidRequest, ThriftgateError, UnsupportedParameter
from gateway.dialects.served.api import openai_failure
from gateway.dialects.served.rendering import Served, StreamRendering
from gateway.dialects.sse import DONE, encode

# Field → the value besides null that asks for nothing.
_REFUSED: Mapping[str, Any] = {
    "echo": False,
    "suffix": "",
    "best_of": 1,
    "logprobs": None,
    "tools": [],
    "functions": [],
}


def read_completions(body: object, headers: Mapping[str, str], request_id: str) -> Served:
    """`rendering.Read` for legacy completions."""
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object with `model` and `prompt`.")
    for field, neutral in _REFUSED.items():
        if body.get(field) not in (None, neutral):
            raise UnsupportedParameter(
                f"A chat model stands behind this endpoint: `{field}` has no meaning.", param=field
            )
    kept = {field: value for field, value in body.items() if field != "prompt" and field not in _REFUSED}
    chat = parse_chat({**kept, "messages": [{"role": "user", "content": _prompt(body.get("prompt"))}]})
    return Served(chat, CompletionRendering(request_id, chat.include_usage))


def _prompt(prompt: object) -> str:
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        return prompt[0]
    if isinstance(prompt, list) and prompt and all(isinstance(item, str) for item in prompt):
        raise UnsupportedParameter("Send one `prompt` a request: several are not supported.", param="prompt")
    raise UnsupportedParameter("`prompt` must be text, not tokens and not empty.", param="prompt")


class CompletionRendering:
    """`text_completion` objects. Usage in a stream only for who asked, as in chat completions."""

    as_is = False

    def __init__(self, request_id: str, include_usage: bool) -> None:
        self._id = f"cmpl-{request_id.removeprefix('req_')}"
        self._include_usage = include_usage

    def whole(self, completion: Completion) -> dict[str, Any]:
        choices = [
            _choice(choice, choice["message"].get("content"), choice.get("finish_reason"))
            for choice in completion["choices"]
        ]
        whole = {**_envelope(self._id, completion), "choices": choices}
        return whole if completion.get("usage") is None else {**whole, "usage": completion["usage"]}

    def stream(self) -> StreamRendering:
        return CompletionStream(self._id, self._include_usage)


class CompletionStream:
    """`rendering.StreamRendering` for legacy completions: chunks that bring neither text nor an end are not sent."""

    __slots__ = ("_id", "_include_usage")

    def __init__(self, id: str, include_usage: bool) -> None:
        self._id = id
        self._include_usage = include_usage

    def frame(self, chunk: Chunk) -> bytes:
        choices = [
            _choice(choice, (choice.get("delta") or {}).get("content"), choice.get("finish_reason"))
            for choice in chunk["choices"]
        ]
        choices = [choice for choice in choices if choice["text"] or choice["finish_reason"]]
        usage = chunk.get("usage") if self._include_usage else None
        if not choices and usage is None:
            return b""
        frame = {**_envelope(self._id, chunk), "choices": choices}
        return encode({**frame, "usage": usage} if self._include_usage else frame)

    def end(self) -> bytes:
        return DONE

    def failure(self, error: ThriftgateError) -> bytes:
        return encode(openai_failure(error))


def _envelope(id: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": id, "object": "text_completion", "created": answer.get("created"), "model": answer.get("model")}


def _choice(choice: Mapping[str, Any], text: str | None, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text or "", "index": choice.get("index", 0), "logprobs": None, "finish_reason": finish_reason}

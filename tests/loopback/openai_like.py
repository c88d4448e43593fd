"""The wire form that OpenAI, DeepSeek and llama.cpp share; each of them overrides what it does differently."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from gateway.core.usage import Usage
from tests.loopback.answer import Answer, ToolCall, tokens
from tests.loopback.flavour import Flavour, Frames, Received, Refusal, last_user_text, sse
from tests.loopback.sample import sample

Body = Mapping[str, Any]
Rule = Callable[[Body], Refusal | None]
CREATED = 1_790_000_000  # 2026-09-21, the same in every answer


class OpenAILike(Flavour):
    """Chat completions: one JSON object, or chunks and `data: [DONE]`."""

    rules: ClassVar[tuple[Rule, ...]] = ()
    limit_fields: ClassVar[tuple[str, ...]] = ("max_completion_tokens", "max_tokens")
    shows_reasoning: ClassVar[bool] = False
    forces_tools: ClassVar[bool] = True

    def credentials(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.api_key}"}

    def check(self, request: Received) -> Refusal | None:
        refused = self.check_key(request) or self.check_path(request)
        if refused or request.path not in self.chat_paths:
            return refused
        if not isinstance(request.body, dict):
            return self.refusal(400, "We could not parse the JSON body of your request.")
        return next((refusal for rule in self.rules if (refusal := rule(request.body))), None)

    def check_key(self, request: Received) -> Refusal | None:
        given = request.headers.get("authorization")
        return None if given == f"Bearer {self.api_key}" else self.refusal(401)

    def check_path(self, request: Received) -> Refusal | None:
        if request.path in self.chat_paths or self.lookup(request) is not None:
            return None
        return self.refusal(404, f"Invalid URL ({request.method} {request.path})")

    def echo(self, body: Body) -> Answer:
        said = last_user_text(body["messages"])
        tool = self._forced_tool(body)
        if tool is not None:
            arguments = sample(tool.get("parameters", {}), said)
            return Answer(tool_calls=(ToolCall(tool["name"], json.dumps(arguments, ensure_ascii=False)),))
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            return Answer(json.dumps(sample(wanted["json_schema"].get("schema", {}), said), ensure_ascii=False))
        if wanted.get("type") == "json_object":
            return Answer(json.dumps({"echo": said}, ensure_ascii=False))
        return Answer(f"You said: {said}")

    def _forced_tool(self, body: Body) -> dict[str, Any] | None:
        choice, tools = body.get("tool_choice"), [t["function"] for t in body.get("tools") or () if "function" in t]
        if not self.forces_tools or not tools:
            return None
        if isinstance(choice, dict) and "function" in choice:
            return next((tool for tool in tools if tool["name"] == choice["function"]["name"]), None)
        return tools[0] if choice == "required" else None

    def fit(self, body: Body, answer: Answer) -> Answer:
        limits = [body[field] for field in self.limit_fields if body.get(field) is not None]
        stop = body.get("stop") or ()
        return answer.within(min(limits, default=None), (stop,) if isinstance(stop, str) else tuple(stop))

    def usage(self, usage: Usage) -> dict[str, Any]:
        """The usage object."""
        return usage.to_openai()

    def extras(self, usage: Usage) -> dict[str, Any]:
        """Top-level fields that only this provider sends, in a whole answer and in the last chunk."""
        return {}

    def call_id(self, request: Received, position: int, call: ToolCall) -> str:
        return call.id or f"call_{request.number}_{position}"

    def whole(self, request: Received, answer: Answer) -> dict[str, Any]:
        usage = cost(request, answer)
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.tool_calls:
            message["tool_calls"] = [
                {"id": self.call_id(request, k, call), "type": "function", "function": _function(call, call.arguments)}
                for k, call in enumerate(answer.tool_calls)
            ]
        if self.shows_reasoning and answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        choice = {"message": message, "logprobs": self._logprobs(request.body, tokens(answer.text))}
        choices = [{"index": i, **choice, "finish_reason": answer.finished} for i in range(_count(request.body))]
        head = self.envelope(request, "chat.completion")
        return {**head, "choices": choices, "usage": self.usage(usage), **self.extras(usage)}

    def envelope(self, request: Received, kind: str) -> dict[str, Any]:
        """The fields that every object and chunk of one answer shares."""
        identity = {"id": f"chatcmpl-{request.number}", "object": kind, "created": CREATED}
        return {**identity, "model": request.body.get("model"), "system_fingerprint": "fp_loopback"}

    def frames(self, request: Received, answer: Answer) -> Frames:
        pieces = [self._text(request, piece) for piece in tokens(answer.text)]
        if self.shows_reasoning:
            thoughts = [self.chunk(request, {"reasoning_content": piece}) for piece in tokens(answer.reasoning)]
            pieces = thoughts + pieces
        for position, call in enumerate(answer.tool_calls):
            pieces += self._call(request, position, call)
        return Frames(
            "text/event-stream",
            tuple(pieces),
            head=self.chunk(request, {"role": "assistant", "content": "", "refusal": None}),
            tail=self.tail(request, answer),
            end=sse("[DONE]"),
        )

    def _text(self, request: Received, piece: str) -> bytes:
        return self.chunk(request, {"content": piece}, logprobs=self._logprobs(request.body, [piece]))

    def _call(self, request: Received, position: int, call: ToolCall) -> list[bytes]:
        """Id, type and name once, before the first fragment; then arguments only."""
        opening = {"id": self.call_id(request, position, call), "type": "function", "function": _function(call, "")}
        fragments = [
            self.chunk(request, {"tool_calls": [{"index": position, "function": {"arguments": fragment}}]})
            for fragment in call.fragments
        ]
        return [self.chunk(request, {"tool_calls": [{"index": position, **opening}]}) + fragments[0], *fragments[1:]]

    def tail(self, request: Received, answer: Answer) -> bytes:
        """The finish chunk, and the usage chunk where it was asked for."""
        finish = self.chunk(request, {}, finish_reason=answer.finished)
        if not _wants_usage(request.body):
            return finish
        usage = cost(request, answer)
        last = {"choices": [], "usage": self.usage(usage), **self.extras(usage)}
        return finish + sse({**self.envelope(request, "chat.completion.chunk"), **last})

    def chunk(
        self, request: Received, delta: Body, logprobs: Body | None = None, finish_reason: str | None = None
    ) -> bytes:
        """One delta for every choice that was asked for."""
        head = self.envelope(request, "chat.completion.chunk")
        usage = {"usage": None} if _wants_usage(request.body) else {}
        choice = {"delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunks = [{**head, "choices": [{"index": i, **choice}], **usage} for i in range(_count(request.body))]
        return b"".join(sse(chunk) for chunk in chunks)

    def _logprobs(self, body: Body, pieces: list[str]) -> dict[str, Any] | None:
        if not body.get("logprobs"):
            return None
        content = [
            {"token": piece, "logprob": -0.5, "bytes": list(piece.encode()), "top_logprobs": []} for piece in pieces
        ]
        return {"content": content, "refusal": None}

    def error_event(self, message: str) -> bytes:
        return sse(self.refusal(500, message).body)


def cost(request: Received, answer: Answer) -> Usage:
    """Every choice is billed, the prompt once."""
    usage = answer.cost(request.body)
    return usage if answer.usage else replace(usage, output_tokens=usage.output_tokens * _count(request.body))


def _function(call: ToolCall, arguments: str) -> dict[str, str]:
    return {"name": call.name, "arguments": arguments}


def _count(body: Body) -> int:
    return int(body.get("n") or 1)


def _wants_usage(body: Body) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))

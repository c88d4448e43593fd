"""llama.cpp's server, whichever launcher started it: OpenAI's shapes, and a model as good as its chat template.

`tool_choice` is accepted and not honoured (seen with xllamacpp 2026.10.11549: "required" and a named tool gave prose),
so `forced_tools: emulated` asks for the call as a JSON schema, to which the engine's grammar holds any model. With
SmolLM2's chat template `tools` do not even reach the prompt (the same 41 tokens with and without, 2026-11-23): its row
says `tools: false`.

With n > 1 its usage counts the output of one choice only (seen with the same version): a stream sends one usage per
choice, as each ends, and they add up; a whole answer sends one, so it is left out and the gateway counts itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.chat import Message
from gateway.core.chunks import Completion, Mend
from gateway.core.profile import Profile
from gateway.core.tool_choice import emulates_call
from gateway.dialects.dialect import StreamDecoder
from gateway.dialects.emulation import call_instruction, call_schema, calling, forced_functions
from gateway.dialects.openai import OpenAI
from gateway.dialects.openai_messages import (
    developer_as_system,
    merged_systems,
    with_default_system,
    with_instruction,
)
from gateway.dialects.openai_stream import OpenAIStream


class LlamaCpp(OpenAI):
    """http://host:8080/v1."""

    speaker = "llamacpp"

    def messages(self, messages: Sequence[Message], profile: Profile) -> list[Message]:
        merged = merged_systems(developer_as_system(messages))
        return with_default_system(merged, profile.default_system)

    def emulate(self, body: dict[str, Any], profile: Profile) -> list[Mend]:
        if not emulates_call(body, profile):
            if not profile.tools:
                _leave_out_tools(body)
            return super().emulate(body, profile)
        functions = forced_functions(body)
        _leave_out_tools(body)
        schema = {"name": "call", "schema": call_schema(functions)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
        body["messages"] = merged_systems(with_instruction(body["messages"], call_instruction(functions)))
        return [calling(functions)]

    def tidy(self, answer: dict[str, Any]) -> None:
        _count_slot(answer.get("usage"), answer.pop("timings", None))
        model = answer.get("model")
        if isinstance(model, str) and model.endswith(".gguf"):  # a path on our disk: the file's name is enough
            answer["model"] = model.rpartition("/")[2]

    def decode(self, body: bytes) -> Completion:
        completion = super().decode(body)
        if len(completion["choices"]) > 1:
            completion.pop("usage", None)
        return completion

    def decoder(self) -> StreamDecoder:
        return OpenAIStream(self.tidy, usage_per_choice=True)


def _count_slot(usage: object, timings: object) -> None:
    """What the prompt had in common with the last one in its slot is told as `cached_tokens`, also where the server
    says so in its timings only (`cache_n`)."""
    if isinstance(usage, dict) and isinstance(timings, dict) and isinstance(timings.get("cache_n"), int):
        usage.setdefault("prompt_tokens_details", {"cached_tokens": timings["cache_n"]})


def _leave_out_tools(body: dict[str, Any]) -> None:
    for field in ("tools", "tool_choice", "parallel_tool_calls"):
        body.pop(field, None)

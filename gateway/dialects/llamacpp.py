"""llama.cpp's server, whichever launcher started it: OpenAI's shapes, and a model as good as its chat template.

`tool_choice` is accepted and not honoured (seen with xllamacpp 2026.10.11549: "required" gave prose), so a catalog
row of such a model says `forced_tools: false` and a forced call is refused.

With n > 1 its usage counts the output of one choice only (seen with the same version): a stream sends one usage per
choice, as each ends, and they add up; a whole answer sends one, so it is left out and the gateway counts itself.
"""

from __future__ import annotations

from typing import Any

from gateway.core.chat import ChatRequest, Message
from gateway.core.chunks import Completion
from gateway.core.profile import Profile
from gateway.dialects.dialect import StreamDecoder
from gateway.dialects.openai import OpenAI
from gateway.dialects.openai_messages import clean, developer_as_system, merged_systems, with_default_system
from gateway.dialects.openai_stream import OpenAIStream


class LlamaCpp(OpenAI):
    """http://host:8080/v1."""

    def messages(self, chat: ChatRequest, profile: Profile) -> list[Message]:
        messages = merged_systems(developer_as_system(clean(chat.messages)))
        return with_default_system(messages, profile.default_system)

    def tidy(self, answer: dict[str, Any]) -> None:
        answer.pop("timings", None)
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

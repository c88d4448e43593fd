"""What a model accepts, as data: a provider's quirk is a row here, not an `if` in a dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """The facts of one model. Loaded from `config/models.yaml`, where each row carries its source and date.

    `limit_field` is the name the provider reads for the output limit; a limit above `max_output_tokens` is lowered
    to it. `sampling` is false where temperature, top_p and penalties are refused: they are dropped and named.
    `vision`, `tools` and `forced_tools` (tool_choice "required" or a named tool) are false where asking is refused
    with UnsupportedParameter; `prefill` likewise for an answer the client has begun. `json_schema` says whether
    schemas are native, or emulated by an instruction. `reasoning` is how the model takes `reasoning_effort`: not at
    all (dropped and named), as an effort, or at Anthropic as adaptive thinking or a token budget.
    `default_system` is sent when the conversation has no system message (a small local model needs one).
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    sampling: bool = True
    vision: bool = False
    tools: bool = True
    forced_tools: bool = True
    prefill: bool = True
    json_schema: Literal["native", "emulated"] = "native"
    reasoning: Literal["none", "effort", "adaptive", "budget"] = "none"
    default_system: str | None = None

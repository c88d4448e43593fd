"""What a model accepts, as data: a provider's quirk is a row here, not an `if` in a dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """The facts of one model. Loaded from `config/models.yaml`, where each row carries its source and date.

    `limit_field` is the name the provider reads for the output limit. `sampling` is false where temperature,
    top_p and top_k are refused. `json_schema` says whether strict schemas are native, or emulated by the dialect.
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

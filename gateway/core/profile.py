"""What a model accepts, as data: a provider's quirk is a row here, not an `if` in a dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""`reasoning_effort` from least to most, all the names OpenAI has had (openai-python 3.54)."""

Accepts = bool | Literal["without_reasoning"]
"""`without_reasoning`: only while the model does not reason, which is what effort `none` asks for."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The facts of one model. Loaded from `config/models.yaml`, where each row carries its source and date.

    The defaults are those of a model nobody has described: text in and out, and every parameter taken.

    `limit_field` is the name the provider reads for the output limit; a limit above `max_output_tokens` is lowered
    to it. Where `sampling` (temperature, top_p, penalties) is not accepted it is dropped and named. Asking for what
    `logprobs`, `n` (more than one choice), `stop`, `vision`, `documents`, `audio`, `tools` and `prefill` (an answer the
    client has begun) deny is refused with UnsupportedParameter. `forced_tools` is about tool_choice "required" or a
    named tool: denied, native, or emulated by a JSON schema. `parallel_tools` says whether the provider reads
    `parallel_tool_calls`; where it does not, `false` is honoured here, by keeping the first call.

    `json_schema` says whether schemas are native, or emulated and then validated. `reasoning` is how the model takes
    `reasoning_effort`: not at all (dropped and named), as an effort, or at Anthropic as adaptive thinking or a token
    budget; `efforts` are the names it takes, empty when unknown, and `default_effort` what it does unasked. Without
    `effort_with_tools` a request with tools may ask for no effort but `none`.

    `service_tiers` are those it knows, None when unknown. `prompt_cache` says how a client may mark what is cached:
    not at all, with `prompt_cache_breakpoint` and `prompt_cache_options` (OpenAI since 5.6), or with `cache_control`
    (Anthropic); None when unknown. Prefixes shorter than `min_cache_tokens` are silently not cached, and what is cached
    stays so for `prompt_cache_s` after it was last read. `extra_fields` are
    taken besides what its kind of provider takes (`top_k` of a vLLM server). `default_system` is sent when the
    conversation has no system message (a small local model needs one).
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    sampling: Accepts = True
    logprobs: Accepts = True
    n: bool = True
    stop: bool = True
    vision: bool = False
    documents: bool = False
    audio: bool = False
    tools: bool = True
    forced_tools: bool | Literal["emulated"] = True
    parallel_tools: bool = True
    prefill: bool = True
    json_schema: Literal["native", "emulated"] = "native"
    reasoning: Literal["none", "effort", "adaptive", "budget"] = "none"
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    effort_with_tools: bool = True
    service_tiers: tuple[str, ...] | None = None
    prompt_cache: Literal["automatic", "breakpoints", "cache_control"] | None = None
    min_cache_tokens: int | None = None
    prompt_cache_s: float = 300.0
    extra_fields: tuple[str, ...] = ()
    default_system: str | None = None

    def takes(self, wish: Accepts, effort: object) -> bool:
        """Whether a parameter accepted like `wish` is accepted in a request with this `reasoning_effort`."""
        return (effort or self.default_effort) == "none" if wish == "without_reasoning" else wish


def nearest_effort(asked: object, offered: tuple[str, ...]) -> str | None:
    """The effort to send: the one asked for, else the next stronger one on offer, else the strongest.

    None for a name nobody knows.
    """
    if asked not in EFFORTS:
        return None
    stronger = EFFORTS[EFFORTS.index(asked) :]
    return next((name for name in stronger if name in offered), offered[-1])

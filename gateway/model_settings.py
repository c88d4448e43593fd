"""One model's row in config/models.yaml: where it is, what it costs, what it accepts, and who says so."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.core.tiers import Tier

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Usd = Annotated[Decimal, BeforeValidator(lambda value: str(value) if isinstance(value, float) else value), Field(ge=0)]
Name = Annotated[str, Field(pattern=NAME)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Accepts = bool | Literal["without_reasoning"]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class RatesUsd(Section):
    """US dollars per million tokens."""

    input: Usd
    output: Usd
    cache_read: Usd | None = None
    cache_write: Usd | None = None


class ModelTimeouts(Section):
    """Seconds; what is left out is as in `timeouts`."""

    connect_s: float | None = Field(None, gt=0)
    first_token_s: float | None = Field(None, gt=0)
    between_tokens_s: float | None = Field(None, gt=0)
    total_s: float | None = Field(None, gt=0)


class Capabilities(Section):
    """What a model accepts; the fields of `core.profile.Profile` under the same names."""

    context_tokens: int | None = Field(None, ge=1)
    max_output_tokens: int | None = Field(None, ge=1)
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
    efforts: tuple[Effort, ...] = ()
    default_effort: Effort | None = None
    effort_with_tools: bool = True
    service_tiers: tuple[str, ...] | None = None
    prompt_cache: Literal["automatic", "breakpoints", "cache_control"] | None = None
    min_cache_tokens: int | None = Field(None, ge=1)
    extra_fields: tuple[str, ...] = ()


class ModelSettings(Capabilities):
    provider: Name
    tier: Tier | None = None
    mode: Literal["chat", "embedding"] = "chat"
    upstream: str | None = None
    routed: bool = True
    price: Literal["free"] | RatesUsd | None = None
    source: str | None = Field(None, min_length=1)
    checked: date | None = None
    default_system: str | None = None
    timeouts: ModelTimeouts | None = None

    @property
    def stated(self) -> frozenset[str]:
        """The capabilities that the row states, by name."""
        return frozenset(self.model_fields_set & Capabilities.model_fields.keys())

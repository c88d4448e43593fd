"""One model's row in config/models.yaml: where it is, what it costs, what it accepts, and who says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from gateway.core.tiers import Tier

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Exact = Annotated[Decimal, BeforeValidator(lambda value: str(value) if isinstance(value, float) else value)]
Usd = Annotated[Exact, Field(ge=0)]
Name = Annotated[str, Field(pattern=NAME)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Accepts = bool | Literal["without_reasoning"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def _minutes(hours: object) -> object:
    """`01:00-04:00` as the first minute of the day that it covers, and the first that it does not."""
    found = _HOURS.fullmatch(hours) if isinstance(hours, str) else None
    start, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3)) if found else (0, 0)
    if not start < end <= 24 * 60:
        raise ValueError('must be two times of a day, such as "01:00-04:00"; over midnight they are two rows')
    return start, end


class RatesUsd(Section):
    """US dollars per million tokens; the fields of `core.pricing.Rates`."""

    input: Usd
    output: Usd
    cache_read: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    audio_input: Usd | None = None
    audio_output: Usd | None = None


class LongContextUsd(RatesUsd):
    over_tokens: int = Field(ge=1)


class PeakUsd(RatesUsd):
    hours: Annotated[tuple[int, int], BeforeValidator(_minutes)]
    weekdays: tuple[Weekday, ...] = WEEK


class BatchUsd(RatesUsd):
    long_context: tuple[LongContextUsd, ...] = ()


class ListUsd(RatesUsd):
    """All that a model costs at one time."""

    long_context: tuple[LongContextUsd, ...] = ()
    peaks: tuple[PeakUsd, ...] = ()
    batch: BatchUsd | None = None
    source: str | None = Field(None, min_length=1)
    checked: date | None = None


class DatedUsd(ListUsd):
    """The same from a day on. Whoever writes down a vendor's history says where it was read."""

    from_: date = Field(alias="from")
    source: str = Field(min_length=1)
    checked: date


class GpuHour(Section):
    """What the hardware of a local model costs, rented by the hour or by the power it draws, and how fast it is."""

    gpu_hour_usd: Usd | None = None
    watt: Exact | None = Field(None, gt=0)
    kwh_usd: Usd | None = None
    prompt_tokens_per_s: Exact = Field(gt=0)
    output_tokens_per_s: Exact = Field(gt=0)

    @property
    def hour_usd(self) -> Decimal:
        """What an hour costs, used or idle: power at its full draw."""
        if self.gpu_hour_usd is not None:
            return self.gpu_hour_usd
        assert self.watt is not None
        assert self.kwh_usd is not None
        return self.watt / 1_000 * self.kwh_usd


def _one_way(row: GpuHour) -> GpuHour:
    by_power = row.watt is not None or row.kwh_usd is not None
    if by_power and (row.watt is None or row.kwh_usd is None):
        raise ValueError("wants `watt` and `kwh_usd` together")
    if by_power == (row.gpu_hour_usd is not None):
        raise ValueError("wants either `gpu_hour_usd`, or `watt` and `kwh_usd`")
    return row


def _in_order(rows: tuple[DatedUsd, ...]) -> tuple[DatedUsd, ...]:
    if not rows:
        raise ValueError("has no row")
    if any(later.from_ <= earlier.from_ for earlier, later in pairwise(rows)):
        raise ValueError("must begin with its oldest row, and no two rows on the same day")
    return rows


PRICE_FORMS = ("<free>", "<list>", "<dated>", "<gpu hour>")
"""Where pydantic says which form of a price it means: no part of the path that was written."""


def _form(price: object) -> str | None:
    """Which form was meant, so that errors are about that one."""
    free, rates, dated, gpu_hour = PRICE_FORMS
    if isinstance(price, Mapping):
        return gpu_hour if price.keys() & {"gpu_hour_usd", "watt", "kwh_usd"} else rates
    return dated if isinstance(price, list) else free if isinstance(price, str) else None


PriceUsd = Annotated[
    Annotated[Literal["free"], Tag("<free>")]
    | Annotated[ListUsd, Tag("<list>")]
    | Annotated[tuple[DatedUsd, ...], AfterValidator(_in_order), Tag("<dated>")]
    | Annotated[GpuHour, AfterValidator(_one_way), Tag("<gpu hour>")],
    Discriminator(_form),
]


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
    prompt_cache_s: float = Field(300.0, gt=0)
    extra_fields: tuple[str, ...] = ()


class ModelSettings(Capabilities):
    provider: Name
    tier: Tier | None = None
    mode: Literal["chat", "embedding"] = "chat"
    upstream: str | None = None
    routed: bool = True
    price: PriceUsd | None = None
    source: str | None = Field(None, min_length=1)
    checked: date | None = None
    default_system: str | None = None
    timeouts: ModelTimeouts | None = None

    @property
    def stated(self) -> frozenset[str]:
        """The capabilities that the row states, by name."""
        return frozenset(self.model_fields_set & Capabilities.model_fields.keys())

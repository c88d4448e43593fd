"""config/services.yaml: who calls, what each may use and spend, and the groups that spend together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from gateway.core.budget import MAX_LIMIT, Away
from gateway.core.review import Check, Mode
from gateway.core.service_key import digest_of
from gateway.core.tiers import Tier
from gateway.core.window import WindowKind, WindowStyle
from gateway.model_settings import Name, Section, Usd
from gateway.routing_settings import RoutingTerms

Rung = Annotated[float, Field(gt=0, le=1)] | None
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class LadderSettings(Section):
    warn: Rung = 0.8
    cheaper: Rung = 0.9
    local: Rung = 1.0

    @property
    def rungs(self) -> list[float]:
        """Those there are, in the order in which they must rise."""
        return [rung for rung in (self.warn, self.cheaper, self.local) if rung is not None]


class PacingSettings(Section):
    burst: float = Field(gt=0, lt=1)


class BudgetSettings(Section):
    # The ledger's arithmetic is exact to MAX_LIMIT, of tokens and of nano-dollars alike.
    tokens: int | None = Field(None, ge=1, le=MAX_LIMIT)
    usd: Usd | None = Field(None, ge=Decimal("0.000000001"), le=Decimal(9_007_199))
    window: WindowKind = "month"
    style: WindowStyle = "calendar"
    time_zone: str | None = None
    enforcement: Literal["hard", "soft"] = "hard"
    ladder: LadderSettings = LadderSettings()
    pacing: PacingSettings | None = None
    when_unavailable: Away | None = None


class LimitsSettings(Section):
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1, le=MAX_LIMIT)
    concurrency: int | None = Field(None, ge=1)


class ServiceCache(Section):
    enabled: bool = True
    semantic: bool = True
    tools: bool = False
    ttl_s: int | None = Field(None, ge=1, le=31_536_000)


class ReviewSettings(Section):
    """`review: whole` is its mode alone."""

    mode: Mode = "off"
    without: list[Check] = Field(default_factory=list)
    min_logprob: float | None = Field(None, le=0)
    # What the shipped head has thresholds for, and what lies between them.
    arithmetic: float | None = Field(None, ge=0.9, le=0.98)

    @model_validator(mode="before")
    @classmethod
    def _mode_alone(cls, said: Any) -> Any:
        if said is False:  # what YAML makes of `off`
            return {}
        if isinstance(said, dict) and said.get("mode") is False:
            return {**said, "mode": "off"}
        return {"mode": said} if isinstance(said, str) else said


class GroupSettings(Section):
    name: Name
    group: Name | None = None
    budgets: list[BudgetSettings] = Field(default_factory=list)


class ServiceSettings(Section):
    name: Name
    group: Name | None = None
    key: str | None = Field(None, min_length=1)
    key_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    keys: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    budget: BudgetSettings | None = None
    budgets: list[BudgetSettings] = Field(default_factory=list)
    limits: LimitsSettings = LimitsSettings()
    models: list[str] | None = None
    tiers: list[Tier] | None = Field(None, min_length=1)
    routing: RoutingTerms | None = None
    baseline_model: str | None = None
    cache_group: Name | None = None
    cache: ServiceCache = ServiceCache()
    review: ReviewSettings | None = None
    tags: dict[Name, Annotated[str, Field(max_length=128)]] = Field(default_factory=dict)

    @property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each of its keys, the only form in which they are kept; none where all its keys are minted."""
        keys = [
            *self.keys,
            *filter(None, [self.key]),
            *(f"sha256:{digest}" for digest in filter(None, [self.key_sha256])),
        ]
        return tuple(found.group(1) if (found := _DIGEST.fullmatch(key)) else digest_of(key) for key in keys)


def upward(groups: Sequence[GroupSettings], name: str | None) -> list[GroupSettings]:
    """The group of that name and those it is in, innermost first. Ends at a name that is not there or comes again."""
    by_name = {group.name: group for group in groups}
    chain: list[GroupSettings] = []
    while name in by_name and by_name[name] not in chain:
        chain.append(by_name[name])
        name = chain[-1].group
    return chain


def zone_named(name: str | None) -> tzinfo | None:
    """A zone of the IANA database; UTC for None. None for what is no zone."""
    if name in (None, "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones, such as `Europe`
        return None

"""`routing:`, for all services and for one: what is wanted of the router."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.core.tiers import Tier
from gateway.model_settings import Section


class RoutingTerms(Section):
    """Without a target and shares: by rules."""

    quality_target: float | None = Field(None, ge=0.5, le=1)
    light_share: float | None = Field(None, ge=0, le=1)
    medium_share: float | None = Field(None, ge=0, le=1)
    min_tier: Tier = Tier.LIGHT
    max_tier: Tier = Tier.HEAVY

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.quality_target is not None and self.has_shares:
            raise ValueError("has a `quality_target` and shares of tiers; remove one of them")
        if (self.light_share or 0) + (self.medium_share or 0) > 1:
            raise ValueError("has a `light_share` and a `medium_share` of more than 1 together; lower one of them")
        if self.min_tier.rank > self.max_tier.rank:
            raise ValueError(f"has `min_tier: {self.min_tier}` above `max_tier: {self.max_tier}`; exchange them")
        return self

    @property
    def has_shares(self) -> bool:
        return self.light_share is not None or self.medium_share is not None

    def tiers_of(self, allowed: list[Tier] | None) -> frozenset[Tier] | None:
        """Those of `allowed` that lie between the bounds; None is all."""
        between = [tier for tier in Tier if self.min_tier.rank <= tier.rank <= self.max_tier.rank]
        if allowed is None and len(between) == len(Tier):
            return None
        return frozenset(tier for tier in between if allowed is None or tier in allowed)


class RoutingSettings(RoutingTerms):
    classifier: Literal["rules", "learned"] = "rules"
    weights: Path | None = None
    value_of_second_usd: float = Field(0.0, ge=0)

"""From a request and a catalog to an ordered list of attempts, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.pricing import Price
from gateway.core.profile import Profile
from gateway.core.tiers import Tier


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the catalog. `name` is ours (what clients send, what metrics show); `upstream` is the provider's."""

    name: str
    provider: str
    upstream: str
    tier: Tier
    price: Price
    profile: Profile = field(default_factory=Profile)

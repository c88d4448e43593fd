"""What a service wants of the router, and the tier that follows from it.

Theory of operation. There are three policies. By *rules* (`core/tiers`) the words of a prompt name its tier. With a
*quality target* the light model answers what it is expected to answer well enough for the target to be kept: prompts
whose expected gain from a stronger model (`core/router`) is at most a bound, and the bound was set on outcomes that the
score had not seen. With *tier shares* the easiest part of the recent traffic is light, whatever that costs in quality.

A bound is a promise about prompts like those it was set on. So a target decides only lone questions whose score was
learned from their like; everything else is by rules, and where the rules know nothing that is medium.

Nothing was measured about medium models. Between a light and a heavy one they are taken to fall short of the heavy one
by half of what the light one does (`_MEDIUM_GAP`), and the shortfall a target allows is given to both in equal parts:
light up to the bound of half of it, medium up to where the whole of it is used. On the one ladder there is data for
(Mistral 7B, Llama 3.1 8B, Nemotron 51B on LLMRouter's fourteen tasks: .383, .568, .628) the medium one fell short by a
quarter, so a half errs towards heavy.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from gateway.core.features import Features
from gateway.core.forecast import TRUSTED, Forecast
from gateway.core.tiers import Classified, Tier

Bounds = Mapping[Tier, float]
"""To each tier the highest gain that it may answer. The highest tier there is has none: inf."""
_MEDIUM_GAP = 0.5


@dataclass(frozen=True, slots=True)
class TierShares:
    """Shares of the requests, 0 to 1; the rest is heavy."""

    light: float
    medium: float


@dataclass(frozen=True, slots=True)
class Policy:
    """At most one of `quality_target` (a share of the strong model's quality) and `shares`; neither: by rules.

    `bounds` are the target's, by the tiers there are to choose from; none where nothing was learned. `version` names
    weights and settings together, "" where they decide nothing. `value_of_second_usd` is what a second of waiting
    weighs between models."""

    quality_target: float | None = None
    shares: TierShares | None = None
    bounds: Mapping[frozenset[Tier], Bounds] = field(default_factory=dict)
    version: str = ""
    value_of_second_usd: float = 0.0

    @property
    def wants_forecast(self) -> bool:
        return bool(self.bounds) or self.shares is not None

    def __str__(self) -> str:
        """`rules`, `a quality target of 98 % (policy 3fa9c1d2)`."""
        if self.quality_target is not None:
            return f"a quality target of {100 * self.quality_target:g} % (policy {self.version})"
        if self.shares is not None:
            light, medium = 100 * self.shares.light, 100 * self.shares.medium
            return f"shares of {light:g} % light and {medium:g} % medium (policy {self.version})"
        return "rules"


RULES = Policy()


def bounds_for(target: float, bound_of: Callable[[float], float]) -> dict[frozenset[Tier], Bounds]:
    """For every set of tiers. `bound_of` gives the highest gain that keeps a target (`RouterWeights.bound`)."""
    sets = [frozenset(chosen) for size in (1, 2, 3) for chosen in combinations(Tier, size)]
    return {tiers: _bounds_in(tiers, 1 - target, lambda short: bound_of(1 - short)) for tiers in sets}


def _bounds_in(tiers: frozenset[Tier], short: float, bound_of: Callable[[float], float]) -> Bounds:
    """`short` is the shortfall that is allowed, 0 to 1; `bound_of` gives the bound of a shortfall of light answers."""
    bounds = dict.fromkeys(tiers, math.inf)
    if tiers == frozenset(Tier):
        bounds[Tier.LIGHT] = bound_of(short / 2)
        bounds[Tier.MEDIUM] = bound_of(short / 2 + short / 2 / _MEDIUM_GAP)
    elif Tier.LIGHT in tiers and len(tiers) > 1:
        bounds[Tier.LIGHT] = bound_of(short)
    elif tiers == {Tier.MEDIUM, Tier.HEAVY}:
        bounds[Tier.MEDIUM] = bound_of(short / _MEDIUM_GAP)
    return bounds


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a prompt's difficulty. `place` is the share of the service's recent prompts that were easier,
    None while there are too few of them."""

    forecast: Forecast | None = None
    place: float | None = None


UNJUDGED = Judged()


def wanted_tier(
    by_rules: Callable[[Features], Classified],
    features: Features,
    judged: Judged,
    policy: Policy,
    tiers: Collection[Tier],
) -> Classified:
    """The least tier that will do, of `tiers` where the policy chooses among them; by rules also another one."""
    if policy.shares is not None and judged.place is not None:
        return _by_share(judged.place, policy.shares, policy.version)
    forecast = judged.forecast
    if forecast is not None and policy.bounds and is_trusted(features, forecast):
        return _by_target(forecast.gain, policy, tiers)
    said = by_rules(features)
    if policy.quality_target is None:
        return said
    doubt = "unlike what the router learned from" if policy.bounds else "too little was learned for a target"
    return Classified(said.tier, (*said.reasons, f"by rules: {doubt}"))


def is_trusted(features: Features, forecast: Forecast) -> bool:
    """Whether a target's bounds are about such a prompt: they were set on lone questions of kinds that were learned."""
    alone = features.turns == 1 and not (features.tools or features.images or features.schema)
    return alone and forecast.trust >= TRUSTED


def _by_target(gain: float, policy: Policy, tiers: Collection[Tier]) -> Classified:
    bounds = policy.bounds[frozenset(tiers)]
    tier = next(tier for tier in Tier if gain <= bounds.get(tier, -math.inf))
    limits = ", ".join(f"{tier} to {bounds[tier]:.3f}" for tier in Tier if bounds.get(tier, math.inf) < math.inf)
    promise = f"{limits or 'no other tier'} keeps {100 * (policy.quality_target or 0):g} % of the best"
    return Classified(tier, (f"expected gain {gain:.3f}", promise, f"policy {policy.version}"))


def _by_share(place: float, shares: TierShares, version: str) -> Classified:
    tier = Tier.LIGHT if place < shares.light else Tier.MEDIUM if place < shares.light + shares.medium else Tier.HEAVY
    return Classified(tier, (f"harder than {100 * place:.0f} % of recent prompts", f"policy {version}"))


_RECENT, _FEWEST = 500, 20


class RecentScores:
    """The last five hundred gains of a service, in order, to place the next one among them."""

    def __init__(self) -> None:
        self._by_age: deque[float] = deque()
        self._by_size: list[float] = []

    def place(self, gain: float) -> float | None:
        """The share of the recent ones that are lower, equal ones counting half; None of fewer than twenty."""
        known = self._by_size
        lower, upto = bisect_left(known, gain), bisect_right(known, gain)
        return (lower + upto) / 2 / len(known) if len(known) >= _FEWEST else None

    def add(self, gain: float) -> None:
        self._by_age.append(gain)
        insort(self._by_size, gain)
        if len(self._by_age) > _RECENT:
            del self._by_size[bisect_left(self._by_size, self._by_age.popleft())]

"""Light, medium or heavy, learned from labels by hand: a linear model over `signals` and `asks`, which says why.

A prompt's numbers are put on one scale and through cosines of random projections (as `router` does, and for the same
reason), and each tier has one weight for each cosine. The three scores are taken for probabilities, and the prompt
gets the tier of least expected cost, where one tier too low costs more than one too high: a needless heavy answer costs
cents, a wrong light one the user's trust.

What the labels know nothing of (tools, images, a schema, a long conversation) is left to a rule: such a request is
never light. An empty question has no signal, and no signal is medium.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.core.asks import ASKS, asks
from gateway.core.features import Features
from gateway.core.signals import SIGNALS, signals
from gateway.core.tiers import Classified, Tier

Floats = npt.NDArray[np.float32]

INPUTS: tuple[str, ...] = (*SIGNALS, *ASKS, "code", "maths", "rules")
_FARTHEST = 3.0
"""Standard deviations beyond which an input counts no further."""
_REASONS = 2
_TIERS = tuple(Tier)
_LEAST = 0.01
_MANY_TURNS = 6


@dataclass(frozen=True, slots=True)
class TierWeights:
    """All that was learned. `directions` are `len(INPUTS)` × waves and `heads` waves × three tiers; `under_cost` is
    what a tier too low costs, in tiers too high."""

    centre: Floats
    spread: Floats
    directions: Floats
    phases: Floats
    heads: Floats
    intercepts: Floats
    under_cost: float
    digest: str
    """SHA-256 of the file they came from."""


def inputs_of(features: Features) -> Floats:
    """The value of each of `INPUTS`."""
    question, length_chars = features.question, features.question_chars
    flags = (features.code, features.maths, math.log1p(features.constraints))
    return np.concatenate([signals(question, length_chars), asks(question, length_chars), np.array(flags, np.float32)])


def classify(features: Features, weights: TierWeights) -> Classified:
    """The tier of one request; `reasons` is never empty, and never has a word of the prompt in it."""
    if not features.question.strip():
        return Classified(Tier.MEDIUM, ("no signal",))
    values, angles = projected(inputs_of(features), weights)
    scores = waves_of(angles) @ weights.heads + weights.intercepts
    chances = chances_of(scores)
    tier = _TIERS[int(cheapest(chances[None, :], weights.under_cost)[0])]
    said = f"learned: {tier} {chances[tier.rank]:.2f}"
    brought = _brought(features)
    if tier is Tier.LIGHT and brought:
        return Classified(Tier.MEDIUM, (*brought, said))
    return Classified(tier, (said, *_reasons(tier, values, angles, weights)))


def projected(inputs: Floats, weights: TierWeights) -> tuple[Floats, Floats]:
    """Inputs on the scale, and their projections."""
    values = np.clip((inputs - weights.centre) / weights.spread, -_FARTHEST, _FARTHEST)
    return values, values @ weights.directions + weights.phases


def waves_of(angles: Floats) -> Floats:
    """Cosines, so that the products of two rows stand for a Gaussian kernel."""
    return np.asarray(np.cos(angles) * np.float32(math.sqrt(2 / angles.shape[-1])), np.float32)


def cheapest(chances: Floats, under_cost: float) -> npt.NDArray[np.int_]:
    """The rank of least expected cost for each row of probabilities."""
    given, needed = np.arange(3)[:, None], np.arange(3)[None, :]
    costs = np.where(given < needed, under_cost, 1.0) * (given != needed)
    return np.asarray((chances @ costs.T).argmin(1), np.int_)


def chances_of(scores: Floats) -> Floats:
    """Scores of a least-squares fit to 0 and 1, as probabilities."""
    kept = np.maximum(scores, _LEAST)
    return np.asarray(kept / kept.sum(-1, keepdims=True), np.float32)


def _brought(features: Features) -> tuple[str, ...]:
    """What the request brings along that no label was about."""
    signs = (
        (features.tools, f"{features.tools} tools"),
        (features.images, f"{features.images} images"),
        (features.schema, "JSON schema"),
        (features.turns > _MANY_TURNS, f"{features.turns} turns"),
    )
    return tuple(name for holds, name in signs if holds)


def _reasons(tier: Tier, values: Floats, angles: Floats, weights: TierWeights) -> tuple[str, ...]:
    """The inputs that moved this tier's score up most: the score's slope at each, times how far it is from the
    ordinary."""
    slopes = -np.sin(angles) * weights.heads[:, tier.rank]
    moved = values * (weights.directions @ slopes)
    loudest = np.argsort(-moved, kind="stable")[:_REASONS]
    return tuple(INPUTS[at] for at in loudest if moved[at] > 0)

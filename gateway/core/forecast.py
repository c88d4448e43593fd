"""What the router expects of a prompt; `router` works it out, `policy` decides by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.features import Features

TRUSTED = 0.5
"""From this much trust on, a score may decide that a light answer will do."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """`gain` is the strong model's expected advantage (-1 to 1), `probability` that a light answer will do (0 to 1),
    `trust` how far the score was learned rather than set by hand (0 to 1). `reasons` name signals, never words of the
    prompt, weightiest first: `harder: formulas`, `easier: length`; there are none unless they were asked for."""

    gain: float
    probability: float
    trust: float
    reasons: tuple[str, ...] = ()


Foresee = Callable[[Features, bool], Forecast | None]
"""`router.forecast` by some weights: the features, and whether reasons are wanted. None: nothing to judge by."""

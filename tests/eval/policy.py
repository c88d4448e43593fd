"""What a quality target keeps and saves when the gateway's own planner decides: a part of `make eval-routing`.

The catalog has a light and a heavy model, a light call costs a tenth, and each prompt is planned with the score and the
bounds of weights that have not seen it. So the rules' share is in it: they decide what the score is not trusted with,
and what they hold for medium is answered by the heavy model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from gateway.core.chat import parse_chat
from gateway.core.forecast import TRUSTED, Forecast
from gateway.core.options import DEFAULT
from gateway.core.plan import Catalog, Model
from gateway.core.planning import Known, make_plan
from gateway.core.policy import RULES, Judged, Policy, bounds_for
from gateway.core.pricing import Price, Rates
from gateway.core.ridge import Column
from gateway.core.router import Floats, RouterWeights, blended
from gateway.core.service import Service
from gateway.core.tiers import Tier
from gateway.offline.routing_sets import Outcome

TARGETS = (0.9, 0.95, 0.98)
LIGHT = Model("light", "p", "light", Tier.LIGHT, Price(Rates(Decimal("0.1"), Decimal("0.1"))))
HEAVY = Model("heavy", "p", "heavy", Tier.HEAVY, Price(Rates(Decimal(1), Decimal(1))))
PAIR = Catalog((LIGHT, HEAVY))


@dataclass(slots=True)
class Delivered:
    """Sums over prompts: what was delivered, what always strong would have, and how many were light."""

    quality: float = 0.0
    strong: float = 0.0
    light: int = 0
    prompts: int = 0

    def add(self, outcome: Outcome, is_light: bool) -> None:
        self.quality += outcome.light if is_light else outcome.strong
        self.strong += outcome.strong
        self.light += is_light
        self.prompts += 1

    def __str__(self) -> str:
        light = self.light / max(1, self.prompts)
        kept = 100 * self.quality / max(1e-9, self.strong)
        return f"kept {kept:5.1f} %   {100 * light:3.0f} % light   saved {100 * 0.9 * light:3.0f} %   of {self.prompts}"


@dataclass(slots=True)
class Decided:
    """`rows` by what decided, `trusted` those of the prompts whose score decides."""

    rows: dict[str, Delivered] = field(default_factory=dict)
    trusted: dict[str, Delivered] = field(default_factory=dict)

    def add(self, outcomes: Sequence[Outcome], scores: Column, raw: Sequence[Floats], weights: RouterWeights) -> None:
        """A fold that the weights have not seen."""
        trusts = [blended(0.0, each, weights)[1] for each in raw]
        coin = np.random.RandomState(0).random_sample(len(outcomes))
        for outcome, score, trust, drawn in zip(outcomes, scores.tolist(), trusts, coin.tolist(), strict=True):
            judged = Judged(Forecast(score, 0.5, trust))
            by = {
                f"target {100 * target:.0f}": is_light(outcome, judged, aiming(target, weights)) for target in TARGETS
            }
            by |= {"rules": is_light(outcome, judged, RULES), "coin": drawn < 0.5, "always strong": False}
            by |= {"short (under 200 characters)": len(outcome.prompt) < 200, "oracle": outcome.light >= outcome.strong}
            for name, light in by.items():
                self.rows.setdefault(name, Delivered()).add(outcome, light)
                if trust >= TRUSTED:
                    self.trusted.setdefault(name, Delivered()).add(outcome, light)

    def lines(self) -> list[str]:
        tables = {"all prompts": self.rows, "prompts whose score decides": self.trusted}
        return [
            line
            for title, rows in tables.items()
            for line in (
                f"Policy through the planner, weights and bounds from the other folds: {title}",
                *(f"  {name:34} {delivered}" for name, delivered in rows.items()),
            )
        ]


def aiming(target: float, weights: RouterWeights) -> Policy:
    return Policy(target, bounds=bounds_for(target, weights.bound) if len(weights.promises[0]) else {})


def is_light(outcome: Outcome, judged: Judged, policy: Policy) -> bool:
    chat = parse_chat({"model": "auto", "messages": [{"role": "user", "content": outcome.prompt}]})
    plan = make_plan(chat, DEFAULT, Service("eval", policy=policy), PAIR, 0.0, Known(judged=judged))
    return plan.attempts[0] is LIGHT

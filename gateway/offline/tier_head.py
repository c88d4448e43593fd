"""Three tiers from labels by hand: ridge on the router's inputs and on what the rules say, decided by expected cost.

The head scores each tier; a prompt gets the tier of least expected cost, where one tier too low costs `UNDER` times one
tier too high, because a wrong light answer costs trust and a needless heavy one cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.adapters.router_weights import load
from gateway.core.features import Features
from gateway.core.ridge import Column, Matrix, fit, out_of_fold, products
from gateway.core.router import RouterWeights, inputs_of
from gateway.core.signals import signals
from gateway.core.tiers import Tier, classify
from gateway.offline.train_router import features_for, folds_of

UNDER_COSTS = (1.0, 1.25, 1.5, 2.0, 3.0)
_MOST_UNDER = 0.10
_PENALTIES = (1.0, 2.0, 4.0, 8.0, 16.0)
_RULE_WEIGHT = 0.5
"""Of the rules' verdict among inputs of length 1: chosen so that it is heard, and can be outvoted."""


@dataclass(frozen=True, slots=True)
class TierExample:
    prompt: str
    tier: Tier


@dataclass(frozen=True, slots=True)
class TierHead:
    """`weights` has a column for each tier, in rank order."""

    router: RouterWeights
    weights: Matrix
    intercepts: Column
    under_cost: float

    def classify(self, prompt: str) -> Tier:
        scores = tier_rows(self.router, [prompt])[0] @ self.weights + self.intercepts
        return tuple(Tier)[int(cheapest(scores[None, :], self.under_cost)[0])]


def learn_tiers(examples: Sequence[TierExample]) -> TierHead:
    """The penalty and the cost of too low a tier are chosen by folds inside the examples."""
    router = load()
    prompts = [example.prompt for example in examples]
    ranks = np.array([example.tier.rank for example in examples])
    rows, folds = tier_rows(router, prompts), folds_of(prompts)
    kernel = products(rows)
    targets = [(ranks == rank).astype(np.float64) for rank in range(3)]
    chosen = [out_of_fold(kernel, target, folds, _PENALTIES) for target in targets]
    honest = np.stack([scores for _, scores in chosen], axis=1)
    solved = [fit(kernel, target, penalty) for target, (penalty, _) in zip(targets, chosen, strict=True)]
    weights = np.stack([rows.T @ solution.astype(np.float32) for solution, _ in solved], axis=1)
    return TierHead(router, weights, np.array([centre for _, centre in solved]), _under_cost(honest, ranks))


def cheapest(scores: npt.NDArray[np.floating], under_cost: float) -> npt.NDArray[np.int_]:
    """The rank of least expected cost for each row of scores, read as probabilities."""
    chances = np.clip(scores, 0.01, None)
    chances = chances / chances.sum(1, keepdims=True)
    given, needed = np.arange(3)[:, None], np.arange(3)[None, :]
    costs = np.where(given < needed, under_cost, 1.0) * (given != needed)
    return np.asarray((chances @ costs.T).argmin(1), np.int_)


def _under_cost(honest: npt.NDArray[np.floating], ranks: npt.NDArray[np.int_]) -> float:
    """The least weight on too low a tier that keeps such errors rare, else the heaviest."""
    for cost in UNDER_COSTS:
        if float((cheapest(honest, cost) < ranks).mean()) <= _MOST_UNDER:
            return cost
    return UNDER_COSTS[-1]


def tier_rows(router: RouterWeights, prompts: Sequence[str]) -> Matrix:
    """The router's inputs, its light score, and the rules' verdict."""
    rows = []
    for prompt in prompts:
        features = features_for(prompt)
        inputs = inputs_of(features.question, signals(features.question, features.question_chars), router.scale)
        rows.append(np.concatenate([inputs.row(), _said_by_rules(features)]))
    return np.array(rows, np.float32)


def _said_by_rules(features: Features) -> npt.NDArray[np.float32]:
    said = classify(features)
    verdict = np.zeros(3, np.float32)
    verdict[said.tier.rank] = _RULE_WEIGHT if said.reasons != ("no signal",) else 0.0
    return verdict

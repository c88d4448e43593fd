"""Three tiers learned from labels by hand. `make train-tiers` writes `adapters/tier_weights.npz`.

Ridge regression of each tier on the waves of `core/tier_model`; the penalty and the cost of too low a tier are chosen
by folds inside the examples: of the costs that keep too low a tier rare, the least.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.adapters.tier_weights import SHIPPED, projections, save
from gateway.core.ridge import Matrix, fit, out_of_fold, products
from gateway.core.tier_model import TierWeights, chances_of, cheapest, inputs_of, projected, waves_of
from gateway.offline.tier_labels import TierExample, labelled
from gateway.offline.train_router import features_for, folds_of

UNDER_COSTS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0)
MOST_UNDER = 0.10
_PENALTIES = (0.03, 0.1, 0.3, 1.0)
_NARROWEST = np.float32(1e-3)


@dataclass(frozen=True, slots=True)
class TierLesson:
    """Examples as numbers: `inputs` a row each, and their tiers' ranks."""

    prompts: tuple[str, ...]
    inputs: Matrix
    ranks: npt.NDArray[np.int_]

    @classmethod
    def of(cls, examples: Sequence[TierExample]) -> TierLesson:
        inputs = np.array([inputs_of(features_for(example.prompt)) for example in examples], np.float32)
        prompts = tuple(example.prompt for example in examples)
        return cls(prompts, inputs, np.array([example.tier.rank for example in examples]))

    def part(self, rows: npt.NDArray[np.int_]) -> TierLesson:
        return TierLesson(tuple(self.prompts[at] for at in rows), self.inputs[rows], self.ranks[rows])


@dataclass(frozen=True, slots=True)
class LearnedTiers:
    """Weights, and the scores of each example by the other folds."""

    weights: TierWeights
    honest: Matrix


def learn_tiers(lesson: TierLesson) -> LearnedTiers:
    centre, spread = lesson.inputs.mean(0), lesson.inputs.std(0) + _NARROWEST
    nothing = np.zeros((0, 3), np.float32)
    weights = TierWeights(centre, spread, *projections(), nothing, np.zeros(3, np.float32), 1.0, "")
    rows = waves_of(projected(lesson.inputs, weights)[1])
    kernel, folds = products(rows), folds_of(lesson.prompts)
    targets = [(lesson.ranks == rank).astype(np.float64) for rank in range(3)]
    chosen = [out_of_fold(kernel, target, folds, _PENALTIES) for target in targets]
    solved = [fit(kernel, target, penalty) for target, (penalty, _) in zip(targets, chosen, strict=True)]
    heads = np.stack([rows.T @ solution.astype(np.float32) for solution, _ in solved], axis=1)
    intercepts = np.array([centre for _, centre in solved], np.float32)
    honest = np.stack([scores for _, scores in chosen], axis=1).astype(np.float32)
    cost = under_cost(honest, lesson.ranks)
    return LearnedTiers(replace(weights, heads=heads, intercepts=intercepts, under_cost=cost), honest)


def said(lesson: TierLesson, weights: TierWeights) -> npt.NDArray[np.int_]:
    """The rank that these weights give each prompt."""
    return by_cost(waves_of(projected(lesson.inputs, weights)[1]) @ weights.heads + weights.intercepts, weights)


def by_cost(scores: Matrix, weights: TierWeights) -> npt.NDArray[np.int_]:
    return cheapest(chances_of(scores), weights.under_cost)


def under_cost(honest: Matrix, ranks: npt.NDArray[np.int_], most: float = MOST_UNDER) -> float:
    """The least weight on too low a tier that keeps such errors rare, else the heaviest."""
    for cost in UNDER_COSTS:
        if float((cheapest(chances_of(honest), cost) < ranks).mean()) <= most:
            return cost
    return UNDER_COSTS[-1]


def main(arguments: Sequence[str]) -> int:
    labels, prompts = map(Path, arguments)
    examples = labelled(labels, prompts)
    if not examples:
        sys.stderr.write(f"nothing learned: no prompt in {prompts} has a label in {labels}\n")
        return 1
    learned = learn_tiers(TierLesson.of(examples))
    digest = save(learned.weights, SHIPPED)
    sys.stdout.write(f"{SHIPPED.name}: {len(examples)} labels, {SHIPPED.stat().st_size} bytes, sha256 {digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

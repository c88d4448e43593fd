"""How often a tier classifier agrees with labels by hand: goal R7, `python -m tests.eval.tiers`.

Labels are `tier_labels/*.tsv` (the guide is beside them), the prompts are found in `$THRIFTGATE_EVAL_DATA/routing` by
their hash. Where annotators differ the higher tier is the truth, as the guide says. The learned classifier is judged on
labels it has not seen, the cost of too low a tier included: in five folds, and on each source learned from the others.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.adapters import tier_weights
from gateway.core import tiers
from gateway.core.tier_model import classify
from gateway.core.tiers import Tier
from gateway.offline.tier_head import UNDER_COSTS, TierLesson, learn_tiers, said
from gateway.offline.tier_labels import TierExample, joined, prompts_in, read_labels, truth_of
from gateway.offline.train_router import features_for, folds_of

LABELS = Path(__file__).with_name("tier_labels")
Ranks = npt.NDArray[np.int_]
CURVE = (200, 400, 800, 1_200)
_FEWEST = 60
"""Labels of a source that is left out by itself."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`truth` and `said` as ranks, 0 for light to 2 for heavy."""

    truth: Ranks
    said: Ranks

    @property
    def accuracy(self) -> float:
        return float((self.truth == self.said).mean())

    @property
    def under(self) -> float:
        """The share that got less than the truth: the error that costs trust."""
        return float((self.said < self.truth).mean())

    @property
    def macro_f1(self) -> float:
        scores = []
        for rank in range(3):
            right = int(((self.truth == rank) & (self.said == rank)).sum())
            scores.append(2 * right / max(1, int((self.truth == rank).sum()) + int((self.said == rank).sum())))
        return sum(scores) / 3

    @property
    def kappa(self) -> float:
        """Cohen's: agreement beyond what the two sets of frequencies give by chance."""
        chance = sum(float((self.truth == rank).mean() * (self.said == rank).mean()) for rank in range(3))
        return (self.accuracy - chance) / (1 - chance) if chance < 1 else 1.0

    def row(self, name: str) -> str:
        return (
            f"  {name:34} {self.accuracy:6.3f}   macro-F1 {self.macro_f1:.2f}  under-tiered {self.under:.2f}  "
            f"kappa {self.kappa:.2f}"
        )


@dataclass(frozen=True, slots=True)
class TierReport:
    lines: list[str]
    goals: list[tuple[str, bool]]


def report(folder: Path) -> TierReport:
    annotators = [read_labels(path) for path in sorted(LABELS.glob("*.tsv"))]
    examples = joined(truth_of(annotators), prompts_in(folder))
    if not examples:
        return TierReport([f"R7 skipped: no labelled prompts ({LABELS.name}/*.tsv joined with {folder})"], [])
    lesson = TierLesson.of(examples)
    counts = "/".join(str(int((lesson.ranks == rank).sum())) for rank in range(3))
    rules = np.array([tiers.classify(features_for(example.prompt)).tier.rank for example in examples])
    majority = np.full(len(examples), np.bincount(lesson.ranks).argmax())
    learned = in_folds(lesson)
    lines = [
        f"R7 tiers: {len(examples)} labels (light/medium/heavy {counts}), five folds",
        *between(annotators),
        Agreement(lesson.ranks, majority).row("majority"),
        Agreement(lesson.ranks, rules).row("rules of core/tiers"),
        learned.row("learned, cost chosen by folds"),
        *at_each_cost(lesson),
        *by_source(examples, lesson, learned),
        *curve(lesson),
        speed(examples),
    ]
    return TierReport(
        lines, [("R7 accuracy >= .75", learned.accuracy >= 0.75), ("R7 under <= .10", learned.under <= 0.1)]
    )


def in_folds(lesson: TierLesson, cost: float | None = None, labels: int | None = None) -> Agreement:
    """Each fold by what was learned from the others, or from so many of their labels."""
    folds = folds_of(lesson.prompts, salt="outer")
    given = np.zeros(len(lesson.ranks), int)
    for fold in np.unique(folds):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if labels is not None:
            seen = np.random.RandomState(fold).permutation(seen)[:labels]
        weights = learn_tiers(lesson.part(seen)).weights
        given[unseen] = said(lesson.part(unseen), replace(weights, under_cost=cost) if cost else weights)
    return Agreement(lesson.ranks, given)


def at_each_cost(lesson: TierLesson) -> list[str]:
    return [in_folds(lesson, cost).row(f"learned, too low costs {cost:g}") for cost in UNDER_COSTS[::2]]


def by_source(examples: Sequence[TierExample], lesson: TierLesson, learned: Agreement) -> list[str]:
    """In the folds, and from the other sources alone."""
    sources = np.array([example.source for example in examples])
    lines = []
    for source in sorted(set(sources)):
        own, others = np.flatnonzero(sources == source), np.flatnonzero(sources != source)
        if len(own) < _FEWEST:
            continue
        lines.append(Agreement(learned.truth[own], learned.said[own]).row(f"{source} ({len(own)})"))
        weights = learn_tiers(lesson.part(others)).weights
        lines.append(Agreement(lesson.ranks[own], said(lesson.part(own), weights)).row(f"{source}, from the others"))
    return lines


def curve(lesson: TierLesson) -> list[str]:
    rows = [(count, in_folds(lesson, 1.0, count), in_folds(lesson, None, count)) for count in CURVE]
    return [
        f"  {f'{count} labels learned from':34} {free.accuracy:6.3f} at equal costs (under {free.under:.2f}), "
        f"{held.accuracy:.3f} with under-tiered held down ({held.under:.2f})"
        for count, free, held in rows
    ]


def speed(examples: Sequence[TierExample]) -> str:
    """CPU of features and tier together, for a short prompt and for any."""
    weights = tier_weights.load()
    times_ms: dict[bool, list[float]] = {True: [], False: []}
    for example in examples[:600]:
        started_s = time.thread_time()
        classify(features_for(example.prompt), weights)
        times_ms[len(example.prompt) < 200].append(1e3 * (time.thread_time() - started_s))
    short, long = (np.median(times_ms[kind]) for kind in (True, False))
    return f"  CPU p50: {short:.2f} ms under 200 characters, {long:.2f} ms over, features included"


def between(annotators: Sequence[Mapping[str, Tier]]) -> list[str]:
    """How far each two annotators agree, where both have labelled."""
    lines = []
    for at, one in enumerate(annotators):
        for other, two in enumerate(annotators[at + 1 :], at + 1):
            both = sorted(one.keys() & two.keys())
            if both:
                ranks = (np.array([labels[digest].rank for digest in both]) for labels in (one, two))
                lines.append(Agreement(*ranks).row(f"annotators {at + 1} and {other + 1}, {len(both)} prompts"))
    return lines


def main() -> int:
    from tests.eval.routing import data_folder

    found = report(data_folder())
    print("\n".join(found.lines))
    return 0 if all(met for _, met in found.goals) else 1


if __name__ == "__main__":
    sys.exit(main())

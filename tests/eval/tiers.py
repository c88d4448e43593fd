"""How often a tier classifier agrees with labels by hand: goal R7, `python -m tests.eval.tiers`.

Labels are `tier_labels/*.tsv` (rows of a prompt's SHA-256, a tab and its tier; the guide is beside them), the prompts
are found in `$THRIFTGATE_EVAL_DATA/routing` by their hash. Where annotators differ the higher tier is the truth, as the
guide says. Half of the prompts, by hash, train the three-class head; the other half judges it and the rules alike.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.core.tiers import Tier, classify
from gateway.offline.tier_head import UNDER_COSTS, TierExample, learn_tiers
from gateway.offline.train_router import features_for

LABELS = Path(__file__).with_name("tier_labels")
TIERS = tuple(Tier)
Ranks = npt.NDArray[np.int_]


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


def scored(classifier: Callable[[str], Tier], examples: Sequence[TierExample]) -> Agreement:
    """Any classifier of a prompt against the labels."""
    said = np.array([classifier(example.prompt).rank for example in examples])
    return Agreement(np.array([example.tier.rank for example in examples]), said)


def read_labels(path: Path) -> dict[str, Tier]:
    """By the prompt's SHA-256. Raises ValueError, with the line, for a row that is none."""
    labels = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        digest, _, tier = line.partition("\t")
        if line and not line.startswith(("#", "sha256")):
            try:
                labels[digest] = Tier(tier.split("\t")[0].strip())
            except ValueError as error:
                raise ValueError(f"{path}:{number}: expected sha256, a tab and light, medium or heavy") from error
    return labels


def truth_of(annotators: Sequence[Mapping[str, Tier]]) -> dict[str, Tier]:
    """The highest tier that any annotator gave."""
    digests = sorted({digest for labels in annotators for digest in labels})
    return {
        digest: max((labels[digest] for labels in annotators if digest in labels), key=lambda tier: tier.rank)
        for digest in digests
    }


def joined(truth: Mapping[str, Tier], prompts: Iterator[str]) -> list[TierExample]:
    """The labelled prompts that are here, once each, in the order of their hashes."""
    found = {}
    for prompt in prompts:
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        if digest in truth:
            found[digest] = TierExample(prompt, truth[digest])
    return [found[digest] for digest in sorted(found)]


def prompts_in(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.dev.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["prompt"]


def halves(examples: Sequence[TierExample]) -> tuple[list[TierExample], list[TierExample]]:
    """Even first digit of the hash: to learn from; odd: to judge by."""
    parts: tuple[list[TierExample], list[TierExample]] = ([], [])
    for example in examples:
        parts[int(hashlib.sha256(example.prompt.encode()).hexdigest()[0], 16) % 2].append(example)
    return parts


def report(folder: Path) -> TierReport:
    annotators = [read_labels(path) for path in sorted(LABELS.glob("*.tsv"))]
    examples = joined(truth_of(annotators), prompts_in(folder)) if annotators else []
    if not examples:
        return TierReport([f"R7 skipped: no labelled prompts ({LABELS.name}/*.tsv joined with {folder})"], [])
    learn_from, judge = halves(examples)
    head = learn_tiers(learn_from)
    truth = np.array([example.tier.rank for example in judge])
    rules = scored(lambda prompt: classify(features_for(prompt)).tier, judge)
    majority = Agreement(truth, np.full(len(truth), np.bincount(truth).argmax()))
    counts = "/".join(str(int((truth == rank).sum())) for rank in range(3))
    lines = [
        f"R7 tiers: {len(learn_from)} labels learned from, {len(judge)} judged (light/medium/heavy {counts})",
        *between(annotators),
        majority.row("majority"),
        rules.row("rules of core/tiers"),
    ]
    for cost in UNDER_COSTS:
        chosen = "  (chosen)" if cost == head.under_cost else ""
        found = scored(replace(head, under_cost=cost).classify, judge)
        lines.append(found.row(f"trained head, too low costs {cost:g}") + chosen)
    learned = scored(head.classify, judge)
    return TierReport(
        lines, [("R7 accuracy >= .75", learned.accuracy >= 0.75), ("R7 under <= .10", learned.under <= 0.1)]
    )


def between(annotators: Sequence[Mapping[str, Tier]]) -> list[str]:
    """How far the first two annotators agree, where both have labelled."""
    if len(annotators) < 2:
        return []
    both = sorted(annotators[0].keys() & annotators[1].keys())
    one, two = (np.array([labels[digest].rank for digest in both]) for labels in annotators[:2])
    return [Agreement(one, two).row(f"two annotators, {len(both)} prompts")] if both else []


def main() -> int:
    from tests.eval.routing import data_folder

    found = report(data_folder())
    print("\n".join(found.lines))
    return 0 if all(met for _, met in found.goals) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The answer head's recipe: worked sums with what two models made of them → 37 coefficients. `make train-answer-head`.

Ridge regression of the gain (strong less light quality) on `core/answer_checks.answer_signs` of the light answer. The
penalty is chosen by five folds inside the examples, and each threshold is set on scores that have not seen their own
label. The same examples give the same head.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.adapters.answer_head import SHIPPED, save
from gateway.core.answer_checks import answer_signs
from gateway.core.answer_head import AnswerHead, Floats, scaled
from gateway.core.quality_target import threshold_for
from gateway.core.ridge import Column, Matrix, fit, out_of_fold
from gateway.offline.train_router import folds_of

TARGETS = (0.9, 0.95, 0.98)
PENALTIES = (3.0, 10.0, 30.0, 100.0)
_LEAST_SPREAD = np.float32(1e-6)


@dataclass(frozen=True, slots=True)
class Worked:
    """A question, the light model's answer to it, and whether the two models were right: 1 or 0."""

    question: str
    answer: str
    light: float
    strong: float


def worked_sums(folder: Path) -> list[Worked]:
    """GSM8K by Mixtral 8x7B, with GPT-4 beside it (lm-sys/RouteLLM 0b64fda, Apache-2.0). Empty without the file."""
    path = folder / "cascade_gsm8k.dev.jsonl"
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Worked(row["prompt"], row["weak_response"], float(row["weak"]), float(row["strong"])) for row in rows]


def train(examples: Sequence[Worked], salt: str = "") -> AnswerHead:
    signs = np.array([list(answer_signs(each.question, each.answer).values()) for each in examples], np.float32)
    centre, spread = signs.mean(0), signs.std(0) + _LEAST_SPREAD
    rows = scaled(signs, centre, spread)
    kernel: Matrix = rows @ rows.T / np.float32(signs.shape[1])
    light = np.array([each.light for each in examples])
    strong = np.array([each.strong for each in examples])
    folds = folds_of((each.question for each in examples), salt=salt)
    penalty, honest = out_of_fold(kernel, strong - light, folds, PENALTIES)
    solution, intercept = fit(kernel, strong - light, penalty)
    weights: Floats = (solution.astype(np.float32) @ rows) / np.float32(signs.shape[1])
    return AnswerHead(centre, spread, weights, intercept, *_thresholds(honest, light, strong))


def _thresholds(honest: Column, light: Column, strong: Column) -> tuple[Floats, Floats]:
    found = [threshold_for(target, honest, light, strong) for target in TARGETS]
    return np.array(TARGETS, np.float32), np.array(found, np.float32)


def main(arguments: Sequence[str]) -> int:
    examples = worked_sums(Path(arguments[0]))
    if not examples:
        sys.stderr.write(f"nothing learned: no worked sums in {arguments[0]}\n")
        return 1
    save(train(examples), SHIPPED)
    sys.stdout.write(f"{SHIPPED.name}: {len(examples)} examples, {SHIPPED.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

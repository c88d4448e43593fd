"""What the trained router and the answer checks are worth: `make eval-routing`, goals R1 to R6 (and R7 with labels).

Reads the data sets of `gateway/offline/routing_sets.py` from `$THRIFTGATE_EVAL_DATA/routing` (default
`../shared/data/routing`); without them it says so in one line and exits with 0, and with 1 when a goal is missed.

APGR is the area under the share of the strong model's advantage that is got, over the share of prompts sent to it: a
coin has .50. "Saved" is the share of always-strong cost saved at 95/98/100 % of its quality, a light call costing a
tenth, the threshold set on the same curve (optimistic; R5 is the honest one). Everything that is chosen (penalty,
trust, threshold) is chosen inside the training folds. Only the scale of R1's inputs (how rare an n-gram is) was seen by
all folds; it knows no label.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.adapters.router_weights import load
from gateway.core.answer_checks import answer_signs
from gateway.core.quality_target import delivered, threshold_for
from gateway.core.ridge import Column, Indices, out_of_fold
from gateway.core.router import RouterWeights, Scale, forecast
from gateway.offline.routing_sets import Outcome, open_outcomes, shipped_outcomes
from gateway.offline.train_router import (
    Learned,
    Lesson,
    adapt,
    apgr,
    blend,
    features_for,
    folds_of,
    learn,
    prompts_on,
    scale_for,
    scores_of,
)
from tests.eval import tiers
from tests.eval.policy import Decided

TARGETS = (0.95, 0.98, 1.0)
LIGHT_PRICE = 0.1
"""Of a strong call's."""
LABELS, DRAWS = 1_000, 5
MOST_OF_A_SET = 3_000
LENGTHS_WORDS = ((8, 16), (80, 160), (300, 10_000))
_CHECK_PENALTIES = (3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True, slots=True)
class Scored:
    """Outcomes with a router's scores: what every figure is computed from."""

    light: Column
    strong: Column
    scores: Column

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], scores: Column) -> Scored:
        light = np.array([outcome.light for outcome in outcomes])
        return cls(light, np.array([outcome.strong for outcome in outcomes]), scores)

    @property
    def area(self) -> float:
        return apgr(self.strong - self.light, self.scores)

    def saved(self, *, light_paid: bool = False) -> tuple[float, ...]:
        """Percent of the always-strong cost at each of TARGETS; below 0 where light calls cost more than they save."""
        order = np.argsort(-self.scores, kind="stable")
        gained = np.concatenate([[0.0], np.cumsum((self.strong - self.light)[order])])
        quality = (self.light.sum() + gained) / len(order)
        sent = np.arange(len(order) + 1) / len(order)
        cost = sent + LIGHT_PRICE * (1 if light_paid else 1 - sent)
        return tuple(float(100 * (1 - cost[quality >= each * self.strong.mean() - 1e-12].min())) for each in TARGETS)

    def row(self, name: str, *, light_paid: bool = False) -> str:
        saved = "/".join(f"{each:.0f}" for each in self.saved(light_paid=light_paid))
        return f"  {name:34} {self.area:6.3f}   saved {saved}"


def anchors(outcomes: Sequence[Outcome]) -> list[str]:
    lengths = np.array([len(outcome.prompt) for outcome in outcomes], np.float64)
    coin = np.random.RandomState(0).random_sample(len(outcomes))
    gains = np.array([outcome.strong - outcome.light for outcome in outcomes])
    rows = {"coin": coin, "prompt length": lengths, "oracle": gains}
    return [Scored.of(outcomes, scores).row(name) for name, scores in rows.items()] + [
        f"  {'always strong':34}          saved 0/0/0"
    ]


@dataclass(frozen=True, slots=True)
class Report:
    """Lines to print, and the goals with whether they were met."""

    lines: list[str]
    goals: list[tuple[str, bool]]


def pooled(outcomes: Sequence[Outcome]) -> Report:
    """R1 and R5: five folds by prompt; in each, weights and thresholds are learned from the other four."""
    scale = scale_for([outcome.prompt for outcome in outcomes])
    return in_folds(Lesson.of(outcomes, scale), scale)


def in_folds(lesson: Lesson, scale: Scale) -> Report:
    outcomes = lesson.outcomes
    folds = folds_of((outcome.prompt for outcome in outcomes), salt="outer")
    scores = np.zeros(len(outcomes))
    decided = Decided()
    kept: dict[float, list[tuple[float, int]]] = {target: [] for target in TARGETS[:2]}
    for fold in np.unique(folds):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        learned = learn(lesson.part(seen), scale)
        test = lesson.prompts.part(unseen)
        scores[unseen] = blend(scores_of(learned.weights.light, test.rows), test, learned.weights)
        decided.add([outcomes[int(at)] for at in unseen], scores[unseen], test.raw, learned.weights)
        for target, found in kept.items():
            found.append((promised(target, learned, lesson, seen, unseen, scores), len(unseen)))
    everything = Scored.of(outcomes, scores)
    lines = ["R1 five folds, pooled (MMLU, GSM8K, AlpacaEval)", *anchors(outcomes), everything.row("trained router")]
    sets = np.array([outcome.set for outcome in outcomes])
    for name in sorted(set(sets)):
        own = np.flatnonzero(sets == name)
        lines.append(Scored.of([outcomes[int(at)] for at in own], scores[own]).row(f"trained router, {name}"))
    lines.append("R5 quality of a promise kept on the other folds, as a share of always strong")
    errors = []
    for target, found in kept.items():
        overall = sum(quality * size for quality, size in found) / len(outcomes)
        errors.append(abs(overall - target))
        each = " ".join(f"{100 * quality:.1f}" for quality, _ in found)
        lines.append(f"  promised {100 * target:.0f}: kept {100 * overall:.2f}   (each fold: {each})")
    lines += decided.lines()
    return Report(lines, [("R1 APGR >= .68", everything.area >= 0.68), ("R5 error <= 1.0 point", max(errors) <= 0.01)])


def promised(target: float, learned: Learned, lesson: Lesson, seen: Indices, unseen: Indices, scores: Column) -> float:
    """The share of strong quality that a threshold set on what was seen keeps on what was not."""
    light = np.array([outcome.light for outcome in lesson.outcomes])
    strong = np.array([outcome.strong for outcome in lesson.outcomes])
    threshold = threshold_for(target, learned.honest, light[seen], strong[seen])
    return delivered(threshold, scores[unseen], light[unseen], strong[unseen])[0]


def left_out(outcomes: Sequence[Outcome]) -> Report:
    """R2: learned from two of the sets, asked about the third; scale and all."""
    lines, areas = ["R2 leave one set out"], []
    names = sorted({outcome.set for outcome in outcomes})
    for held in names:
        others = [outcome for name in names if name != held for outcome in sample(outcomes, name)]
        test = [outcome for outcome in outcomes if outcome.set == held]
        scale = scale_for([outcome.prompt for outcome in others])
        weights = learn(Lesson.of(others, scale), scale).weights
        prompts = prompts_on(scale, [outcome.prompt for outcome in test])
        learned = scores_of(weights.light, prompts.rows)
        found = Scored.of(test, blend(learned, prompts, weights))
        areas.append(found.area)
        lines.append(found.row(held))
        lines.append(Scored.of(test, learned).row(f"{held}, what was learned alone"))
        lines.append(Scored.of(test, prompts.priors()).row(f"{held}, the prior alone"))
    mean = sum(areas) / len(areas)
    lines.append(f"  {'mean':34} {mean:6.3f}")
    return Report(lines, [("R2 mean >= .58", mean >= 0.58), ("R2 no set below .50", min(areas) >= 0.5)])


def sample(outcomes: Sequence[Outcome], name: str) -> list[Outcome]:
    """At most MOST_OF_A_SET of a set, by hash: more took minutes and changed nothing."""
    own = [outcome for outcome in outcomes if outcome.set == name]
    order = np.argsort(folds_of((outcome.prompt for outcome in own), folds=2**31), kind="stable")
    return [own[at] for at in order[:MOST_OF_A_SET]]


def from_cold(outcomes: Sequence[Outcome], weights: RouterWeights) -> Report:
    """R3: shipped weights on another pair's traffic, then with labels of it; the rest of the traffic is the test."""
    rows: dict[str, list[float]] = {}
    lesson = Lesson.of(outcomes, weights.scale)
    for draw in range(DRAWS):
        order = np.random.RandomState(draw).permutation(len(outcomes))
        test = lesson.part(order[LABELS:])
        for labels in (0, LABELS // 4, LABELS):
            learned = adapt(weights, lesson.part(order[:labels])).weights if labels else weights
            scores = blend(scores_of(learned.light, test.prompts.rows), test.prompts, learned)
            rows.setdefault(f"{labels} labels", []).append(Scored.of(test.outcomes, scores).area)
    lines = ["R3 cold start, fourteen tasks, Mistral 7B -> Nemotron 51B", *anchors(outcomes)]
    for name, areas in rows.items():
        lines.append(f"  {name:34} {np.mean(areas):6.3f}   ({DRAWS} draws, {min(areas):.3f} to {max(areas):.3f})")
    return Report(lines, [("R3 1,000 labels >= .70", float(np.mean(rows[f"{LABELS} labels"])) >= 0.7)])


def cascade(folder: Path) -> Report:
    """R4: the light answer is always paid and looked at; five folds, three times."""
    with (folder / "cascade_gsm8k.dev.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    signs = np.array([list(answer_signs(row["prompt"], row["weak_response"]).values()) for row in rows])
    values = np.clip((signs - signs.mean(0)) / (signs.std(0) + 1e-6), -3, 3)
    kernel = (values @ values.T / signs.shape[1]).astype(np.float32)
    light, strong = (np.array([float(row[name]) for row in rows]) for name in ("weak", "strong"))
    runs = []
    for salt in ("one", "two", "three"):
        folds, scores = folds_of((row["prompt"] for row in rows), salt=salt), np.zeros(len(rows))
        for fold in np.unique(folds):
            seen = np.flatnonzero(folds != fold)
            penalty, _ = out_of_fold(kernel[np.ix_(seen, seen)], (strong - light)[seen], folds[seen], _CHECK_PENALTIES)
            _, given = out_of_fold(kernel, strong - light, folds, (penalty,))
            scores[folds == fold] = given[folds == fold]
        runs.append(Scored(light, strong, scores))
    oracle = Scored(light, strong, strong - light)
    said = [run.row(f"answer checks, folds {at}", light_paid=True) for at, run in enumerate(runs, 1)]
    mean = np.mean([run.saved(light_paid=True) for run in runs], axis=0)
    said.append(
        f"  {'mean':34} {np.mean([run.area for run in runs]):6.3f}   saved {'/'.join(f'{x:.0f}' for x in mean)}"
    )
    goals = [("R4 saved >= 45 at 95 %", mean[0] >= 45), ("R4 saved >= 28 at 98 %", mean[1] >= 28)]
    return Report(["R4 cascade on GSM8K, the light call paid", *said, oracle.row("oracle", light_paid=True)], goals)


def speed(outcomes: Sequence[Outcome], weights: RouterWeights) -> Report:
    """R6: CPU of features and forecast together, on prompts of every length."""
    words = np.array([len(outcome.prompt.split()) for outcome in outcomes])
    times_ms: list[list[float]] = []
    for low, high in LENGTHS_WORDS:
        chosen = np.flatnonzero((words >= low) & (words < high))[:200]
        times_ms.append([forecast_ms(outcomes[at].prompt, weights) for at in chosen])
    p50, p99 = np.quantile([each for part in times_ms for each in part], (0.5, 0.99))
    thirds = " ".join(f"{np.quantile(part, 0.5):.2f}" for part in times_ms)
    line = f"  p50 {p50:.2f} ms, p99 {p99:.2f} ms   (p50 of about 12, 120 and over 300 words: {thirds})"
    return Report(["R6 CPU of a forecast", line], [("R6 p50 <= 1 ms", p50 <= 1), ("R6 p99 <= 5 ms", p99 <= 5)])


def forecast_ms(prompt: str, weights: RouterWeights) -> float:
    started_s = time.thread_time()
    forecast(features_for(prompt), weights)
    return 1e3 * (time.thread_time() - started_s)


def data_folder() -> Path:
    return Path(os.environ.get("THRIFTGATE_EVAL_DATA", "../shared/data")) / "routing"


def main() -> int:
    folder = data_folder()
    outcomes = shipped_outcomes(folder)
    if not outcomes:
        print(f"routing evaluation skipped: no outcomes in {folder} (set THRIFTGATE_EVAL_DATA)")
        return 0
    weights = load()
    print(f"shipped weights {weights.digest[:12]}, {len(outcomes)} outcomes in {folder}")
    goals: list[tuple[str, bool]] = []
    for report in (
        speed(outcomes, weights),
        cascade(folder),
        from_cold(open_outcomes(folder), weights),
        tiers.report(folder),
        pooled(outcomes),
        left_out(outcomes),
    ):
        print("\n".join(report.lines), flush=True)
        goals += report.goals
    missed = [name for name, met in goals if not met]
    print("goals missed: " + ", ".join(missed) if missed else "goals met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

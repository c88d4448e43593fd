"""The router's recipe: prompts with what a light and a strong answer were worth → weights. `make train-router`.

Ridge regression of the gain (strong - light quality) on `core/router.Inputs`; the penalty is chosen by five folds
inside the examples. The probability curve is isotonic over out-of-fold scores, so it was never fitted to a score that
had seen its own label. Folds go by a digest of the normalised prompt: the same question never stands on both sides.
The same examples give the same weights.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gateway.adapters.router_weights import SHIPPED, WAVES, directions_of, phases_of, save
from gateway.core.chat import parse_chat
from gateway.core.features import Features, features_of
from gateway.core.forecast import TRUSTED
from gateway.core.ngrams import BUCKETS, Codes, char_buckets, word_buckets
from gateway.core.quality_target import threshold_for
from gateway.core.ridge import Column, Indices, Matrix, fit, isotonic, out_of_fold, products
from gateway.core.router import (
    Floats,
    Head,
    Kind,
    RouterWeights,
    Scale,
    blended,
    distance,
    inputs_of,
    prior_gain,
)
from gateway.core.signals import SIGNALS, signals
from gateway.offline.routing_sets import Outcome, shipped_outcomes

FOLDS = 5
PENALTIES = (16.0, 32.0, 64.0)
_ADAPT_PENALTIES = (2.0, 4.0, 8.0, 16.0)
_RESAMPLINGS = 100
_REACH = 0.95
_NARROWEST = np.float32(0.02)
_CURVE_POINTS = 64
_FEWEST_TRUSTED = 100
"""Outcomes without which a threshold would be a guess."""
_NO_CURVE = (np.zeros(1, np.float32), np.zeros(1, np.float32))
_NO_PROMISES = (np.zeros(0, np.float32), np.zeros(0, np.float32))
_TARGETS = (
    0.5,
    0.6,
    0.7,
    0.75,
    0.8,
    0.85,
    *(percent / 100 for percent in range(90, 98)),
    0.975,
    0.98,
    0.985,
    0.99,
    0.995,
    1.0,
)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts as numbers: `raw` signals, and `rows` of inputs (4 bytes × 18,432 each)."""

    raw: list[Floats]
    rows: Matrix

    def part(self, rows: Indices) -> Prompts:
        return Prompts([self.raw[at] for at in rows], self.rows[rows])

    def priors(self) -> Column:
        return np.array([prior_gain(raw) for raw in self.raw])


def features_for(prompt: str) -> Features:
    """The features of a lone user message."""
    return features_of(parse_chat({"model": "auto", "messages": [{"role": "user", "content": prompt}]}))


def scale_for(prompts: Sequence[str]) -> Scale:
    """Centre and spread of the signals, and how rare each bucket is, among these prompts; no label is looked at."""
    features = [features_for(prompt) for prompt in prompts]
    raw = np.array([signals(each.question, each.question_chars) for each in features])
    questions = [each.question.lower() for each in features]
    return Scale(
        centre=raw.mean(0),
        spread=raw.std(0) + np.float32(1e-6),
        directions=directions_of(len(SIGNALS)),
        phases=phases_of(),
        char_rarity=_rarity(questions, char_buckets),
        word_rarity=_rarity(questions, word_buckets),
    )


def _rarity(questions: Sequence[str], buckets_of: Callable[[str], Codes]) -> Floats:
    """ln of one over the share of prompts with the bucket; 0 for a bucket that one prompt alone has."""
    having = np.zeros(BUCKETS)
    for question in questions:
        having[np.unique(buckets_of(question))] += 1
    rarity = np.log((len(questions) + 1) / (having + 1))
    return np.where(having > 1, rarity, 0).astype(np.float32)


def prompts_on(scale: Scale, prompts: Sequence[str]) -> Prompts:
    raw: list[Floats] = []
    rows = np.zeros((len(prompts), WAVES + 2 * BUCKETS), np.float32)
    for at, prompt in enumerate(prompts):
        features = features_for(prompt)
        raw.append(signals(features.question, features.question_chars))
        rows[at] = inputs_of(features.question, raw[-1], scale).row()
    return Prompts(raw, rows)


def folds_of(prompts: Iterable[str], folds: int = FOLDS, salt: str = "") -> Indices:
    """A prompt's fold, by its words alone: spelling of case and space does not part two copies of a question."""
    return np.array(
        [zlib.crc32((salt + re.sub(r"\s+", " ", prompt.lower()).strip()).encode()) % folds for prompt in prompts]
    )


def kinds_of(names: Sequence[str], prompts: Prompts, gains: Column, honest: Column) -> tuple[Kind, ...]:
    """One kind for each name that learning helped with. `honest` are out-of-fold scores."""
    names_at, raw, priors = np.array(names), np.array(prompts.raw), prompts.priors()
    kinds = []
    for name in sorted(set(names)):
        own = np.flatnonzero(names_at == name)
        if helped(gains[own], honest[own], priors[own]):
            centre, spread = raw[own].mean(0), raw[own].std(0) + _NARROWEST
            distances = [distance(each, centre, spread) for each in raw[own]]
            kinds.append(Kind(name, centre, spread, float(np.quantile(distances, _REACH))))
    return tuple(kinds)


def helped(gains: Column, learned: Column, prior: Column) -> bool:
    """Whether learning orders these prompts better than the prior by a standard error (of 100 resamplings) or more:
    with little evidence the prior stays."""
    drawn = np.random.RandomState(0).randint(0, len(gains), (_RESAMPLINGS, len(gains)))
    ahead = np.array([apgr(gains[own], learned[own]) - apgr(gains[own], prior[own]) for own in drawn])
    return bool(ahead.mean() > ahead.std())


def apgr(gains: Column, scores: Column) -> float:
    """The area under the share of the gain that is got, over the share of prompts sent to the strong model, those with
    the highest scores first. A coin: .5. Needs a gain in sum."""
    got = np.concatenate([[0.0], np.cumsum(gains[np.argsort(-scores, kind="stable")])]) / gains.sum()
    return float((got[1:] + got[:-1]).mean() / 2)


def blend(learned: Column, prompts: Prompts, weights: RouterWeights) -> Column:
    """`router.blended` of each."""
    pairs = zip(learned.tolist(), prompts.raw, strict=True)
    return np.array([blended(score, raw, weights)[0] for score, raw in pairs])


def head_from(rows: Matrix, solution: Column, intercept: float) -> Head:
    weights = (solution.astype(np.float32) @ rows).astype(np.float32)
    return Head(intercept, weights[:WAVES], weights[WAVES : WAVES + BUCKETS], weights[WAVES + BUCKETS :])


@dataclass(frozen=True, slots=True)
class Lesson:
    """Outcomes with their prompts as numbers, and the products of the rows, which take longest to make."""

    outcomes: Sequence[Outcome]
    prompts: Prompts
    kernel: Matrix

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], scale: Scale) -> Lesson:
        prompts = prompts_on(scale, [outcome.prompt for outcome in outcomes])
        return cls(outcomes, prompts, products(prompts.rows))

    def part(self, rows: Indices) -> Lesson:
        return Lesson([self.outcomes[at] for at in rows], self.prompts.part(rows), self.kernel[np.ix_(rows, rows)])

    @property
    def gains(self) -> Column:
        return np.array([outcome.strong - outcome.light for outcome in self.outcomes])

    def folds(self) -> Indices:
        return folds_of(outcome.prompt for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Learned:
    """Weights, and the score of each prompt by the other folds: what thresholds may be set on."""

    weights: RouterWeights
    honest: Column


def train(outcomes: Sequence[Outcome]) -> RouterWeights:
    """Weights from outcomes; two minutes for ten thousand of them on one core, and 4 GB."""
    scale = scale_for([outcome.prompt for outcome in outcomes])
    return learn(Lesson.of(outcomes, scale), scale).weights


def learn(lesson: Lesson, scale: Scale) -> Learned:
    gains, folds = lesson.gains, lesson.folds()
    penalty, honest = out_of_fold(lesson.kernel, gains, folds, PENALTIES)
    head = head_from(lesson.prompts.rows, *fit(lesson.kernel, gains, penalty))
    sets = [outcome.set for outcome in lesson.outcomes]
    kinds = kinds_of(sets, lesson.prompts, gains, honest)
    weights = RouterWeights(scale, head, kinds, mean_level(sets, gains), _NO_CURVE, _NO_PROMISES, "")
    return calibrated(weights, honest, lesson)


def calibrated(weights: RouterWeights, honest: Column, lesson: Lesson) -> Learned:
    scores = blend(honest, lesson.prompts, weights)
    will_do = np.array([outcome.light >= outcome.strong for outcome in lesson.outcomes], np.float64)
    promises = promises_of(weights, scores, lesson)
    return Learned(replace(weights, curve=probability_curve(scores, will_do), promises=promises), scores)


def promises_of(weights: RouterWeights, scores: Column, lesson: Lesson) -> tuple[Floats, Floats]:
    """To each target the bound that keeps it on prompts whose score decides; none where no score would."""
    own = np.flatnonzero([blended(0.0, raw, weights)[1] >= TRUSTED for raw in lesson.prompts.raw])
    if len(own) < _FEWEST_TRUSTED:
        return _NO_PROMISES
    outcomes = [lesson.outcomes[int(at)] for at in own]
    light = np.array([outcome.light for outcome in outcomes])
    strong = np.array([outcome.strong for outcome in outcomes])
    bounds = [threshold_for(target, scores[own], light, strong) for target in _TARGETS]
    return np.array(_TARGETS, np.float32), np.array(bounds, np.float32)


def mean_level(sets: Sequence[str], gains: Column) -> float:
    """The mean gain, every set weighing the same: what to expect of a prompt like none of them."""
    names = np.array(sets)
    return float(np.mean([gains[names == name].mean() for name in sorted(set(sets))]))


def probability_curve(scores: Column, will_do: Column) -> tuple[Floats, Floats]:
    """Scores, ascending, and at each the share of light answers that did. A higher gain never makes it more likely."""
    at, negative = isotonic(scores, -will_do)
    keep = np.unique(np.linspace(0, len(at) - 1, _CURVE_POINTS).astype(int))
    return at[keep].astype(np.float32), -negative[keep].astype(np.float32)


def adapt(weights: RouterWeights, lesson: Lesson) -> Learned:
    """Weights for a deployment's own traffic: the shipped score is one input more, and the rest is learned anew from
    what that leaves unexplained. So the prior goes as far as it is right here, and a thousand labels outweigh it.
    The lesson must be on the weights' own scale."""
    gains, folds, old = lesson.gains, lesson.folds(), weights.light
    shipped = scores_of(old, lesson.prompts.rows)
    keep = _share_kept(shipped, gains)
    explained = keep * (shipped - shipped.mean())
    penalty, left = out_of_fold(lesson.kernel, gains - explained, folds, _ADAPT_PENALTIES)
    learned = head_from(lesson.prompts.rows, *fit(lesson.kernel, gains - explained, penalty))
    head = Head(
        learned.intercept + keep * (old.intercept - float(shipped.mean())),
        learned.waves + np.float32(keep) * old.waves,
        learned.chars + np.float32(keep) * old.chars,
        learned.words + np.float32(keep) * old.words,
    )
    honest = left + explained
    kinds = kinds_of(["own traffic"] * len(lesson.outcomes), lesson.prompts, gains, honest)
    return calibrated(replace(weights, light=head, kinds=kinds, level=float(gains.mean())), honest, lesson)


def _share_kept(shipped: Column, gains: Column) -> float:
    """How much of the shipped score explains these gains, 0 to 1: its regression slope."""
    centred = shipped - shipped.mean()
    return float(np.clip((centred @ gains) / max(float(centred @ centred), 1e-9), 0, 1))


def scores_of(head: Head, rows: Matrix) -> Column:
    weights = np.concatenate([head.waves, head.chars, head.words])
    return np.asarray(rows @ weights, np.float64) + head.intercept


def main(arguments: Sequence[str]) -> int:
    folder = Path(arguments[0])
    outcomes = shipped_outcomes(folder)
    if not outcomes:
        sys.stderr.write(f"nothing learned: no outcomes in {folder}\n")
        return 1
    digest = save(train(outcomes), SHIPPED)
    sys.stdout.write(f"{SHIPPED.name}: {len(outcomes)} outcomes, {SHIPPED.stat().st_size} bytes, sha256 {digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`thriftgate train-router`: new weights for the router from a deployment's own feedback, and what they are worth.

Nothing is switched. The weights go into a file of their own, named by its digest; `thriftgate explain --weights FILE`
shows what it would do, `routing.weights` and a reload take it over, and the old path takes it back.

Every figure is of scores by folds that had not seen the prompt. Its interval is that of `_RESAMPLINGS` samples of the
prompts, drawn with replacement: it says how far the figure hangs on these prompts, and not how far others differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.adapters.router_weights import load, save
from gateway.core.quality_target import delivered, threshold_for
from gateway.core.ridge import Column, Indices
from gateway.core.router import RouterWeights
from gateway.offline.ledger_lessons import lesson_of, ratings_of, told_in
from gateway.offline.train_router import Lesson, adapt, apgr, blend, scores_of

FEWEST = 100
TARGETS = (0.95, 0.98)
_RESAMPLINGS = 200
_INTERVAL = (0.025, 0.975)


class NothingLearned(ValueError):
    """Too little to learn from; the message says what there was, and the mend."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Where the weights are, by which digest, and in words what they are worth."""

    path: Path
    digest: str
    report: tuple[str, ...]


def train_from_ledger(
    ledger: Path, out: Path, before: RouterWeights | None = None, service: str | None = None
) -> Trained:
    """Weights that go on from `before` (the shipped ones). Raises NothingLearned and OSError."""
    before = before or load()
    told = told_in(ledger, service)
    ratings = ratings_of(told)
    wrong = sum(rating.light < rating.strong for rating in ratings)
    advantage = sum(rating.strong - rating.light for rating in ratings)
    if len(ratings) < FEWEST or advantage <= 0:
        raise NothingLearned(
            f"{len(told.scores)} ratings in {ledger}, {len(told.prompts)} prompts kept, {len(ratings)} light answers "
            f"with both, {wrong} of them worth less than a strong one; {FEWEST} are needed, and strong "
            "answers that are worth more on the whole. Is `learning.store_features: true`, and is feedback sent?"
        )
    lesson = lesson_of(ratings, before.scale)
    learned = adapt(before, lesson)
    digest = save(learned.weights, out)
    shipped = blend(scores_of(before.light, lesson.prompts.rows), lesson.prompts, before)
    report = (
        f"{len(ratings)} rated light answers of {len({rating.service for rating in ratings})} services, "
        f"worth {np.mean([rating.light for rating in ratings]):.3f} on average, {wrong} less than a strong one; "
        f"{told.passed_over} lines passed over",
        _area("before", shipped, lesson),
        _area("after ", learned.honest, lesson),
        *(_kept(target, learned.honest, lesson) for target in TARGETS),
        f"{out}: sha256 {digest}",
    )
    return Trained(out, digest, report)


def _area(name: str, scores: Column, lesson: Lesson) -> str:
    gains = lesson.gains
    low, high = _interval(lesson, lambda own: apgr(gains[own], scores[own]))
    return f"APGR {name} {apgr(gains, scores):.3f} ({low:.3f} to {high:.3f}; a coin has .50)"


def _kept(target: float, scores: Column, lesson: Lesson) -> str:
    """A threshold set on half of the prompts, and what it keeps on the other half."""
    light = np.array([outcome.light for outcome in lesson.outcomes])
    strong = np.array([outcome.strong for outcome in lesson.outcomes])
    half = np.arange(len(light)) % 2 == 0
    threshold = threshold_for(target, scores[half], light[half], strong[half])
    other = np.flatnonzero(~half)
    kept, sent = delivered(threshold, scores[other], light[other], strong[other])

    def quality(own: Indices) -> float:
        return delivered(threshold, scores[other[own]], light[other[own]], strong[other[own]])[0]

    low, high = _interval(lesson, quality, len(other))
    return (
        f"promised {100 * target:.0f} % of quality: kept {100 * kept:.1f} % ({100 * low:.1f} to {100 * high:.1f}) "
        f"on the other half, with {100 * (1 - sent):.0f} % answered lightly"
    )


def _interval(lesson: Lesson, figure: Callable[[Indices], float], size: int | None = None) -> Sequence[float]:
    """95 %, over samples in which there is something to gain."""
    many = size or len(lesson.outcomes)
    drawn = np.random.RandomState(0).randint(0, many, (_RESAMPLINGS, many))
    with np.errstate(divide="ignore", invalid="ignore"):
        figures = np.array([figure(own) for own in drawn])
    low, high = np.quantile(figures[np.isfinite(figures)], _INTERVAL)
    return float(low), float(high)

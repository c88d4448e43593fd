"""What the ledger's lines teach the router: answered prompts, as numbers, with what their answers were worth.

Feedback joins the prompt of the same request and the same service; a service's word about another's request counts for
nothing. Only light answers teach, because the question is whether a light answer will do. What the strong answer would
have been worth is not known of any one request: it is taken to be what the service's heavy answers were rated on
average, where at least `_FEWEST_HEAVY` were, else 1. Where a light answer was compared with a heavy one
(`flow/light_shadow`) both are known, and nothing has to be assumed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gateway.adapters.ledger_file import SUFFIX
from gateway.adapters.ledger_reader import Damage, read_lines
from gateway.adapters.router_weights import WAVES
from gateway.core.ngrams import BUCKETS
from gateway.core.prompt_numbers import PromptNumbers, unpacked
from gateway.core.ridge import products
from gateway.core.router import Scale, inputs_from
from gateway.core.tiers import Tier
from gateway.offline.routing_sets import Outcome
from gateway.offline.train_router import Lesson, Prompts

MOST = 5_000
"""Of the latest; a row takes 74 kB while it is learned from."""
_FEWEST_HEAVY = 20
_DECIDED = ("same", "different")


@dataclass(slots=True)
class Told:
    """`prompts` and `scores` by service and request; of several scores the last. `compared` says what a light
    answer that was also asked of a heavier model was worth, and the heavy one; that goes before what a user said.
    `passed_over` counts lines that could not be read, or were of another version."""

    prompts: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    scores: dict[tuple[str, str], float] = field(default_factory=dict)
    compared: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    passed_over: int = 0


@dataclass(frozen=True, slots=True)
class Rating:
    """A light answer's. `light` and `strong` 0 to 1."""

    service: str
    numbers: PromptNumbers
    digest: str
    light: float
    strong: float


def told_in(folder: Path, service: str | None = None) -> Told:
    """All files of a ledger, those of its workers included; of one service only, if it is named. Raises OSError."""
    told = Told()
    for record in _records(folder, told):
        key = str(record.get("service")), str(record.get("request_id"))
        if service not in (None, key[0]):
            continue
        if record.get("type") == "prompt":
            told.prompts[key] = record
        elif record.get("type") == "feedback" and isinstance(record.get("score"), int | float):
            told.scores[key] = float(record["score"])
        elif record.get("type") == "check" and record.get("of") == "light" and record.get("verdict") in _DECIDED:
            told.compared[key] = _worth(record)
    return told


def _records(folder: Path, told: Told) -> Iterator[Mapping[str, Any]]:
    """By day, so that the last word is the last, over the folders of all workers."""

    def damaged(damage: Damage) -> None:
        told.passed_over += 1

    for path in sorted(folder.rglob(f"*{SUFFIX}"), key=lambda path: (path.name, str(path))):
        for _, record in read_lines(path, damaged):
            yield record


def _worth(check: Mapping[str, Any]) -> tuple[float, float]:
    """Of the light and the heavy answer: the better one is worth 1, and so are both where neither is."""
    light_better = check.get("light_better") is True
    return float(check["verdict"] == "same"), float(not light_better)


def ratings_of(told: Told) -> list[Rating]:
    """The latest `MOST`."""
    strong = _strong(told)
    ratings = []
    for key in [*told.scores, *(key for key in told.compared if key not in told.scores)]:
        service = key[0]
        light, worth = told.compared[key] if key in told.compared else (told.scores[key], strong(service))
        prompt = told.prompts.get(key)
        if prompt is None or prompt.get("tier") != Tier.LIGHT:
            continue
        try:
            numbers = unpacked(str(prompt.get("numbers")))
        except ValueError:
            told.passed_over += 1
            continue
        digest = hashlib.sha256(str(prompt["numbers"]).encode()).hexdigest()
        ratings.append(Rating(service, numbers, digest, light, worth))
    return ratings[-MOST:]


def _strong(told: Told) -> Callable[[str], float]:
    """What a service's heavy answers were rated on average."""
    rated: defaultdict[str, list[float]] = defaultdict(list)
    for key, score in told.scores.items():
        if key in told.prompts and told.prompts[key].get("tier") == Tier.HEAVY:
            rated[key[0]].append(score)
    means = {name: sum(scores) / len(scores) for name, scores in rated.items() if len(scores) >= _FEWEST_HEAVY}
    return lambda service: means.get(service, 1.0)


def lesson_of(ratings: list[Rating], scale: Scale) -> Lesson:
    """Prompts that were the same are in the same fold: their numbers' digest stands for their words."""
    rows = np.zeros((len(ratings), WAVES + 2 * BUCKETS), np.float32)
    for at, rating in enumerate(ratings):
        rows[at] = inputs_from(rating.numbers.raw, rating.numbers.chars, rating.numbers.words, scale).row()
    outcomes = [Outcome(rating.digest, rating.service, rating.light, rating.strong) for rating in ratings]
    return Lesson(outcomes, Prompts([rating.numbers.raw for rating in ratings], rows), products(rows))

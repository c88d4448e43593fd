"""A trained opinion on worked sums: is the strong model's answer to this likely to be better?

Linear in the signs of `core/answer_checks`, so it takes a fraction of a millisecond. It was learned from one kind of
question (school arithmetic, `adapters/answer_head.py` says from what) and is asked of nothing else: on what is no such
question it has no opinion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.core.answer_checks import SCANNED_CHARS, answer_signs, calculations, numbers_in

Floats = NDArray[np.float32]

_ASKS_FOR_A_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|far|tall|fast|high)\b|\b(?:what|find|calculate) .{0,60}"
    r"\b(?:total|number|cost|price|average|percent\w*|amount|sum|difference|ratio|profit|age|area)\b"
)
_MOST_QUESTION_CHARS = 2_000
_LEAST_NUMBERS = 2


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """`weights` by sign, of values centred, divided by `spread` and cut at three spreads; their sum and `intercept` are
    the gain (strong less light quality) to expect. `thresholds` are the gains above which an answer must not pass for
    each of `targets` (ascending shares of always-strong quality) to be kept."""

    centre: Floats
    spread: Floats
    weights: Floats
    intercept: float
    targets: Floats
    thresholds: Floats

    def gain(self, question: str, answer: str) -> float:
        values = np.array(list(answer_signs(question, answer).values()), np.float32)
        return float(scaled(values, self.centre, self.spread) @ self.weights) + self.intercept

    def threshold(self, target: float) -> float:
        """Between two targets, between their thresholds."""
        return float(np.interp(target, self.targets, self.thresholds))

    def fault(self, question: str, answer: str, target: float) -> str | None:
        if not is_worked_sum(question, answer) or self.gain(question, answer) <= self.threshold(target):
            return None
        return "worked sums that are likely to be wrong"


def scaled(values: Floats, centre: Floats, spread: Floats) -> Floats:
    """One row of signs, or many."""
    return np.asarray(np.clip((values - centre) / spread, -3, 3), np.float32)


def is_worked_sum(question: str, answer: str) -> bool:
    """A short question with numbers that asks for another, or is answered by computing."""
    lower = question.lower()
    if len(question) > _MOST_QUESTION_CHARS or len(numbers_in(lower)) < _LEAST_NUMBERS:
        return False
    return _ASKS_FOR_A_NUMBER.search(lower) is not None or next(calculations(answer[-SCANNED_CHARS:]), None) is not None

"""Will a light model's answer do? A linear model over signals and n-grams of the prompt, with probability and reasons.

Theory of operation. A prompt becomes numbers: the named `signals`, put through 2,048 cosines of random projections (so
that a linear model can bend and combine them; Rahimi and Recht 2007), and the share of each n-gram bucket, weighed by
how rare it is. A `Head` is one weight for each of these. The light head's score is the *gain* to expect: how much
better the strong model's answer would be, from -1 to 1. Prompts are routed by comparing scores; the probability is
read off a calibration curve.

What is learned from one kind of prompt says nothing about another (measured: a coin's worth, ARCHITECTURE.md). So a
learned score is trusted as far as the prompt is like a kind of prompt that learning helped with (`trust`). The rest of
the score is a prior set by hand: a longer closed question is harder, a longer open one brings along what it is about
and is easier.

No text, no opinion: an empty question is None, and the caller stays with medium.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.core.features import Features
from gateway.core.forecast import Forecast
from gateway.core.ngrams import BUCKETS, Codes, char_buckets, counted, word_buckets
from gateway.core.signals import SIGNALS, signals

Floats = npt.NDArray[np.float32]

_FARTHEST = 3.0
"""Standard deviations beyond which a signal counts no further: one absurd prompt must not leave the plane."""
_STRANGEST = 6.0
_REASONS = 3
_AUDIBLE = 0.1
"""A reason is said when it weighs at least this share of the weightiest."""
_NAMED = (*SIGNALS, "wording")
_UNLIKE: tuple[str, ...] = ("like nothing learned from: by length and form",)


@dataclass(frozen=True, slots=True)
class Scale:
    """How inputs are put on one scale. Fitted on prompts alone; no label goes in."""

    centre: Floats
    spread: Floats
    directions: Floats
    """`len(SIGNALS)` × waves, drawn from a fixed seed."""
    phases: Floats
    char_rarity: Floats
    word_rarity: Floats


@dataclass(frozen=True, slots=True)
class Inputs:
    """A prompt on the scale. The three parts of length 1 or √2 are what a head weighs."""

    values: Floats
    angles: Floats
    """The projections; `waves` are their cosines. Kept because the slopes for the reasons need them again."""
    waves: Floats
    chars: tuple[Codes, Floats]
    words: tuple[Codes, Floats]

    def row(self) -> Floats:
        """All parts side by side, for training: waves, chars, words."""
        dense = np.zeros(len(self.waves) + 2 * BUCKETS, np.float32)
        dense[: len(self.waves)] = self.waves
        for start, (found, shares) in ((len(self.waves), self.chars), (len(self.waves) + BUCKETS, self.words)):
            dense[start + found.astype(np.int64)] = shares
        return dense


@dataclass(frozen=True, slots=True)
class Head:
    """One weight for each input, and what is given when all are zero."""

    intercept: float
    waves: Floats
    chars: Floats
    words: Floats

    def score(self, inputs: Inputs) -> float:
        return self.intercept + float(inputs.waves @ self.waves) + sum(self.wording(inputs))

    def wording(self, inputs: Inputs) -> tuple[float, float]:
        """What letters and what words contribute."""
        (chars, char_shares), (words, word_shares) = inputs.chars, inputs.words
        return float(char_shares @ self.chars[chars]), float(word_shares @ self.words[words])


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of prompt that learning helped with: where its signals lie."""

    name: str
    centre: Floats
    spread: Floats
    reach: float
    """The distance within which 95 % of its own prompts lie."""

    def nearness(self, raw: Floats) -> float:
        """1 within its reach, 0 from one and a half times that on."""
        return min(1.0, max(0.0, (1.5 - distance(raw, self.centre, self.spread) / self.reach) / 0.5))


def distance(raw: Floats, centre: Floats, spread: Floats) -> float:
    """Mean square of the signals' standard scores. One that is always there in a kind and missing in a prompt (choices)
    tells more than many that are a little off, so scores count up to 6 (at 3, open prompts were
    near MMLU)."""
    return float((np.minimum(np.abs(raw - centre) / spread, _STRANGEST) ** 2).mean())


@dataclass(frozen=True, slots=True)
class RouterWeights:
    """All that was learned. `kinds` are those that learning helped with; `level` is the mean gain over all; `curve` is
    scores and at each the probability that a light answer will do. `promises` are shares of the strong model's quality,
    ascending, and to each the highest gain whose prompts may be answered lightly if that share is to be kept: set on
    outcomes that the scores had not seen, of prompts whose score is `TRUSTED`."""

    scale: Scale
    light: Head
    kinds: tuple[Kind, ...]
    level: float
    curve: tuple[Floats, Floats]
    promises: tuple[Floats, Floats]
    digest: str
    """SHA-256 of the file they came from: what a policy and a log line name them by."""

    def bound(self, target: float) -> float:
        """The highest gain that keeps at least `target`; never higher for a higher target. -inf: none does."""
        targets, gains = self.promises
        at = int(np.searchsorted(targets, np.float32(target)))
        return float(gains[at]) if at < len(gains) else -math.inf


def forecast(features: Features, weights: RouterWeights, *, explained: bool = False) -> Forecast | None:
    """None when there is nothing to judge by. Deterministic: the same on every machine and in every process.

    `explained` adds the reasons, for a sixth of the time on top. What is like nothing learned from takes half of it."""
    if not features.question.strip():
        return None
    raw = signals(features.question, features.question_chars)
    trust, learned, reasons = _trust(raw, weights), 0.0, _UNLIKE
    if trust > 0:
        inputs = inputs_of(features.question, raw, weights.scale)
        learned = weights.light.score(inputs)
        reasons = _reasons(inputs, weights) if explained else ()
    gain = _blend(trust, learned, raw, weights)
    return Forecast(gain, float(np.interp(gain, *weights.curve)), trust, reasons if explained else ())


def inputs_of(question: str, raw: Floats, scale: Scale) -> Inputs:
    """`raw` are the question's `signals`."""
    lower = question.lower()
    return inputs_from(raw, char_buckets(lower), word_buckets(lower), scale)


def inputs_from(raw: Floats, chars: Codes, words: Codes, scale: Scale) -> Inputs:
    """The same of numbers that were kept; buckets stand there as often as they occur."""
    values = np.clip((raw - scale.centre) / scale.spread, -_FARTHEST, _FARTHEST)
    angles = values @ scale.directions + scale.phases
    return Inputs(
        values,
        angles,
        np.cos(angles) * np.float32(2 / math.sqrt(len(scale.phases))),
        _weighed(chars, scale.char_rarity),
        _weighed(words, scale.word_rarity),
    )


def blended(learned: float, raw: Floats, weights: RouterWeights) -> tuple[float, float]:
    """The gain to expect, and how far it was learned."""
    trust = _trust(raw, weights)
    return _blend(trust, learned, raw, weights), trust


def _trust(raw: Floats, weights: RouterWeights) -> float:
    """As far as the nearest kind is near."""
    return max((kind.nearness(raw) for kind in weights.kinds), default=0.0)


def _blend(trust: float, learned: float, raw: Floats, weights: RouterWeights) -> float:
    return trust * learned + (1 - trust) * (weights.level + prior_gain(raw))


_WORDS, _OPTIONS_AT, _HOW_MANY, _NUMBERS, _NEGATIONS = (
    SIGNALS.index(name) for name in ("words", "options", "quantities asked for", "numbers", "negations")
)


def prior_gain(raw: Floats) -> float:
    """More for a long closed question (choices, or numbers to reckon with), less for a long open prompt; about 0 on
    average.

    Set by hand, not learned: every clause of a closed question, and above all a negation, is one more thing to get
    right, while a long open prompt brings the text to work on. The size (0.02 a natural-log unit) only says that a
    learned score goes before it."""
    reckons = raw[_NUMBERS] > 1.0 or (raw[_HOW_MANY] > 0 and raw[_NUMBERS] > 0)
    if raw[_OPTIONS_AT] >= 3 or reckons:
        return 0.02 * (float(raw[_WORDS]) - 3.9 + 0.5 * float(raw[_NEGATIONS]))
    return -0.02 * (float(raw[_WORDS]) - 2.9)


def _weighed(buckets: Codes, rarity: Floats) -> tuple[Codes, Floats]:
    found, logs = counted(buckets)
    shares = logs * rarity[found]
    return found, shares / max(math.sqrt(float(shares @ shares)), 1e-9)


def _reasons(inputs: Inputs, weights: RouterWeights) -> tuple[str, ...]:
    """The signals that moved this score most: the score's slope at each, times how far it is from the ordinary."""
    scale, head = weights.scale, weights.light
    slopes = -np.sin(inputs.angles) * head.waves
    moved = inputs.values * (scale.directions @ slopes) * np.float32(2 / math.sqrt(len(scale.phases)))
    parts = np.append(moved, np.float32(sum(head.wording(inputs))))
    sizes = np.abs(parts)
    loudest = np.argsort(-sizes, kind="stable")[:_REASONS]
    audible = [at for at in loudest if sizes[at] >= _AUDIBLE * sizes[loudest[0]]]
    return tuple(f"{'harder' if parts[at] > 0 else 'easier'}: {_NAMED[at]}" for at in audible)

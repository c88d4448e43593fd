"""Light, medium, heavy: how much model a prompt needs, decided by rules that say why.

Each rule that fires votes for light or for heavy with a weight. Heavy outvotes light, because a needless heavy answer
costs cents and a wrong light one costs the user's trust. When nothing fires the answer is medium: no signal is not a
light signal (elsewhere, chemistry, proofs and legal questions were scored "simple": litellm #39226).

Measured on 211 hand-labelled prompts, untrained keyword and length rules reach .62 accuracy (ROUTING study, 2026-11).
These weights are a first guess and are not trained; a trained classifier takes their place behind `classify`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.features import Features


class Tier(StrEnum):
    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"

    @property
    def rank(self) -> int:
        """0 for light, 2 for heavy."""
        return _RANK[self]


_RANK = {Tier.LIGHT: 0, Tier.MEDIUM: 1, Tier.HEAVY: 2}


@dataclass(frozen=True, slots=True)
class Classified:
    """A tier and why; the reasons go into a header, the log and `explain`."""

    tier: Tier
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    """A rule over the question's words: the first match is its reason."""

    pattern: re.Pattern[str]
    label: str
    weight: int


def _words(label: str, weight: int, words: str) -> _Words:
    return _Words(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), label, weight)


_HEAVY = (
    _words("proof", 3, r"prove(?: that)?|proof of|theorem|lemma|derive|derivation|induction"),
    _words(
        "design",
        2,
        r"design (?:a|an|the)|architect(?:ure)?|refactor|migrat(?:e|ion)|trade-?offs?|from scratch|end-to-end",
    ),
    _words("debugging", 2, r"debug|race condition|deadlock|memory leak|root cause|segfault|why does (?:this|my) code"),
    _words("optimisation", 2, r"optimi[sz]e|time complexity|np-hard|dynamic programming|concurren(?:t|cy)|distributed"),
    _words(
        "expert domain",
        2,
        r"diagnos(?:e|is)|contraindicat\w+|contract|liabilit(?:y|ies)|statut(?:e|ory)|stoichiometr\w+|enthalpy|"
        r"reaction mechanism|differential equation|eigen\w+|integral|regression analysis|valuation",
    ),
    _words(
        "analysis", 2, r"analy[sz]e|critically|evaluate the|compare and contrast|in depth|comprehensive|rigorous(?:ly)?"
    ),
    _words("planning", 1, r"strategy|roadmap|business plan|step[- ]by[- ]step|multi-step"),
)
_LIGHT = (
    _words("greeting", 2, r"^\W*(?:hi|hello|hey|thanks|thank you|good (?:morning|evening))"),
    _words(
        "lookup",
        1,
        r"what(?:'s| is| are) the|who (?:is|was|wrote)|when (?:is|was|did)|where (?:is|was)|capital of|define",
    ),
    _words("translation", 2, r"translate|in (?:french|spanish|german|italian|portuguese)"),
    _words(
        "rewriting",
        2,
        r"rephrase|rewrite|proofread|fix the (?:grammar|spelling|typos?)|correct the (?:grammar|spelling)",
    ),
    _words("extraction", 2, r"extract|classify|categori[sz]e|sentiment|label (?:the|this)|spell|synonyms?|antonyms?"),
    _words("summary", 1, r"summari[sz]e|tl;?dr|shorten|one sentence"),
    _words("conversion", 1, r"convert|how many|format (?:this|the)"),
)

_SHORT_CHARS = 300
_LONG_CHARS = 6_000
_MANY_CONSTRAINTS = 5


def classify(features: Features) -> Classified:
    """The tier of one request; `reasons` is never empty."""
    heavy, heavy_reasons = _votes(_HEAVY, features)
    heavy += _structural(features, heavy_reasons)
    if heavy >= 3:
        return Classified(Tier.HEAVY, tuple(heavy_reasons))
    light, light_reasons = _votes(_LIGHT, features)
    if heavy == 0 and light > 0 and _is_small(features):
        return Classified(Tier.LIGHT, tuple(light_reasons))
    return Classified(Tier.MEDIUM, tuple(heavy_reasons + light_reasons) or ("no signal",))


def _votes(rules: tuple[_Words, ...], features: Features) -> tuple[int, list[str]]:
    fired = [rule for rule in rules if rule.pattern.search(features.question)]
    return sum(rule.weight for rule in fired), [rule.label for rule in fired]


def _structural(features: Features, reasons: list[str]) -> int:
    """Weight of the signals that are not words; appends their reasons."""
    signals = (
        (features.code, 1, "code"),
        (features.maths, 1, "maths"),
        (features.constraints >= _MANY_CONSTRAINTS, 2, f"{features.constraints} constraints"),
        (features.question_chars > _LONG_CHARS, 2, f"{features.question_chars} characters"),
        (features.schema, 1, "JSON schema"),
        (features.tools > 0, 1, f"{features.tools} tools"),
        (features.images > 0, 1, f"{features.images} images"),
        (features.turns > 6, 1, f"{features.turns} turns"),
    )
    fired = [(weight, reason) for holds, weight, reason in signals if holds]
    reasons.extend(reason for _, reason in fired)
    return sum(weight for weight, _ in fired)


def _is_small(features: Features) -> bool:
    return features.question_chars <= _SHORT_CHARS and features.constraints <= 2

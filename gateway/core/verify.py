"""The second look at a semantic hit: do the two questions really ask the same?

A cosine says that two questions are about the same; it hardly sees a number, a `not` or two names that changed places
(measured 2026-11-23 with MiniLM: at 0.95 it takes 54 % of such pairs for the same, and at 0.99 still 11 %). So the one
retrieved candidate is read again, in plain rules with reasons. A guard blocks when the texts *disagree* on what it
looks at; no guard asks that the wording be the same. When in doubt it blocks: that costs one answer from upstream, and
the other mistake costs a wrong answer.

The guards are about English; other languages pass through those that need no words (numbers, names, quotes,
operators, templates). `tests/eval/semantic.py` holds the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.guards.asked_for import formats_disagree, languages_disagree
from gateway.core.guards.numbers import numbers_disagree
from gateway.core.guards.polarity import negation_disagrees, opposites, phase_differs
from gateway.core.guards.reading import Reading, read
from gateway.core.guards.roles import roles_disagree
from gateway.core.guards.slips import corrected, mistyped
from gateway.core.guards.spans import operators_disagree, quotes_disagree
from gateway.core.guards.templates import templates_differ
from gateway.core.guards.wording import difference, names_differ, related_to_another

LONGEST_CHARACTERS = 2_000
"""A longer text is never verified: it is beyond the embedder's window and its cosine means little."""

_GUARDS = (
    numbers_disagree,
    quotes_disagree,
    operators_disagree,
    negation_disagrees,
    phase_differs,
    languages_disagree,
    formats_disagree,
    roles_disagree,
    templates_differ,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons` name the guards that blocked, for the log and the metric's label; they quote no text."""

    ok: bool
    reasons: tuple[str, ...] = ()


def verify(asked: str, stored: str) -> Verdict:
    """Whether the stored question's answer may serve the one asked. Symmetric, and linear in the texts' length."""
    if asked == stored:
        return Verdict(ok=True)
    if max(len(asked), len(stored)) > LONGEST_CHARACTERS:
        return Verdict(ok=False, reasons=("too long",))
    mine, theirs = read(asked), read(stored)
    if corrected(mine, theirs) or (mistyped(mine, theirs) and not quotes_disagree(mine, theirs)):
        return Verdict(ok=True)
    reasons = [reason for guard in _GUARDS if (reason := guard(mine, theirs))] + _differing_words(mine, theirs)
    return Verdict(ok=not reasons, reasons=tuple(dict.fromkeys(reasons)))


def _differing_words(asked: Reading, stored: Reading) -> list[str]:
    different = difference(asked, stored)
    if different is None:
        return ["wording"]
    found = (
        opposites(different.stems_mine, different.stems_theirs),
        names_differ(different),
        related_to_another(asked, stored, different),
    )
    return [reason for reason in found if reason]

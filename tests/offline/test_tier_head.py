"""Three tiers, learned from a few labelled prompts."""

from __future__ import annotations

import numpy as np

from gateway.core.tiers import Tier
from gateway.offline.tier_head import MOST_UNDER, TierLesson, learn_tiers, said, under_cost
from gateway.offline.tier_labels import TierExample

ASKED = {
    Tier.LIGHT: ("Who wrote {}?", "Translate {} into French.", "What year was {} founded?"),
    Tier.MEDIUM: ("Write a poem about {} in the style of Rilke.", "Write an essay of two pages on {}.", "Explain {}."),
    Tier.HEAVY: (
        "Prove that every {} is a closed subspace, by induction on the matrix.",
        "Design a concurrent kubernetes cluster for {} and debug the deadlock in its async code.",
        "Derive the eigenvalues of the polynomial of {} and prove the theorem.",
    ),
}
THINGS = ("rivers", "bridges", "lions", "ships", "gardens", "trains", "castles", "violins", "spoons", "lamps")
EXAMPLES = [
    TierExample(form.format(thing), tier) for tier, forms in ASKED.items() for form in forms for thing in THINGS
]


def test_what_was_learned_tells_prompts_apart_that_it_has_not_seen() -> None:
    lesson = TierLesson.of(EXAMPLES)
    unseen = np.array([at for at in range(len(EXAMPLES)) if at % 10 == 0])
    seen = np.array([at for at in range(len(EXAMPLES)) if at % 10])
    weights = learn_tiers(lesson.part(seen)).weights
    assert (said(lesson.part(unseen), weights) == lesson.ranks[unseen]).mean() >= 0.8


def test_the_same_examples_give_the_same_weights() -> None:
    one, two = (learn_tiers(TierLesson.of(EXAMPLES)).weights for _ in range(2))
    assert np.array_equal(one.heads, two.heads)
    assert one.under_cost == two.under_cost


def test_the_cost_of_too_low_a_tier_rises_until_it_is_rare() -> None:
    unsure = np.tile(np.array([[0.45, 0.4, 0.15]], np.float32), (10, 1))
    ranks = np.array([0] * 5 + [1] * 4 + [2])
    cost = under_cost(unsure, ranks)
    assert cost > 1
    assert under_cost(unsure, ranks, most=0.9) == 1
    assert MOST_UNDER == 0.10

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.router_weights import load, save
from gateway.core.router import forecast
from gateway.offline.routing_sets import Outcome, open_outcomes, shipped_outcomes
from gateway.offline.train_router import (
    Lesson,
    adapt,
    apgr,
    blend,
    features_for,
    folds_of,
    helped,
    prompts_on,
    scores_of,
    train,
)

THINGS = ("triangle", "river", "poem", "engine", "cat", "market", "planet", "bridge", "song", "number")
VERBS = ("Find", "Describe", "Name", "Sketch", "Count", "Compare")


def outcome(verb: str, thing: str, extra: str) -> Outcome:
    """Made up: proofs need the strong model, nothing else does."""
    hard = extra.startswith("and prove")
    return Outcome(f"{verb} the {thing} {extra}", "made up", light=0.0 if hard else 1.0, strong=1.0)


OUTCOMES = [
    outcome(verb, thing, extra)
    for verb in VERBS
    for thing in THINGS
    for extra in (
        "and prove it is unique.",
        "and prove that none is left.",
        "in one word, please.",
        "for a child of six.",
    )
]
SEEN = [each for each in OUTCOMES if not any(thing in each.prompt for thing in THINGS[7:])]
UNSEEN = [each for each in OUTCOMES if each not in SEEN]


def gains(outcomes: list[Outcome]) -> np.ndarray:
    return np.array([each.strong - each.light for each in outcomes])


def test_what_a_difference_is_made_by_is_learned() -> None:
    weights = train(SEEN)
    prompts = prompts_on(weights.scale, [each.prompt for each in UNSEEN])
    assert apgr(gains(UNSEEN), blend(scores_of(weights.light, prompts.rows), prompts, weights)) > 0.7
    hard, easy = (
        forecast(features_for(f"Count the song {how}"), weights)
        for how in ("and prove it is unique.", "in one word, please.")
    )
    assert hard is not None
    assert easy is not None
    assert hard.gain > easy.gain
    assert hard.probability <= easy.probability


def test_the_same_outcomes_give_the_same_file(tmp_path: Path) -> None:
    digests = {save(train(OUTCOMES[:80]), tmp_path / f"{at}.npz") for at in range(2)}
    assert len(digests) == 1


def test_a_file_gives_back_what_was_learned(tmp_path: Path) -> None:
    weights = train(OUTCOMES[:80])
    save(weights, tmp_path / "w.npz")
    read = load(tmp_path / "w.npz")
    features = features_for(OUTCOMES[90].prompt)
    one, two = forecast(features, weights), forecast(features, read)
    assert one is not None
    assert two is not None
    assert two.gain == pytest.approx(one.gain, abs=2e-3)


def test_own_traffic_outweighs_what_was_shipped() -> None:
    shipped = load()
    own = adapt(shipped, Lesson.of(SEEN, shipped.scale)).weights
    prompts = prompts_on(shipped.scale, [each.prompt for each in UNSEEN])
    areas = [
        apgr(gains(UNSEEN), blend(scores_of(weights.light, prompts.rows), prompts, weights))
        for weights in (shipped, own)
    ]
    assert areas[1] > max(0.7, areas[0])
    assert [kind.name for kind in own.kinds] == ["own traffic"]


@given(st.text(max_size=40))
def test_a_copy_in_other_spelling_is_in_the_same_fold(prompt: str) -> None:
    one, two = folds_of([prompt, f"  {prompt} \n"])
    assert one == two


def test_the_area_of_a_coin_is_a_half_and_the_best_order_has_most() -> None:
    some = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    assert apgr(some, some) > apgr(some, np.zeros(6)) > apgr(some, -some)
    assert apgr(np.ones(100), np.arange(100.0)) == pytest.approx(0.5)


def test_a_learned_score_no_better_than_the_prior_is_not_trusted() -> None:
    drawn = np.random.RandomState(3)
    some = (drawn.random_sample(200) < 0.3).astype(np.float64)
    assert not helped(some, drawn.standard_normal(200), some)
    assert helped(some, some, drawn.standard_normal(200))


def test_without_the_files_there_are_no_outcomes(tmp_path: Path) -> None:
    assert shipped_outcomes(tmp_path) == []
    assert open_outcomes(tmp_path) == []


def test_promises_are_set_where_scores_decide_and_nowhere_else() -> None:
    shipped = load()
    own = adapt(shipped, Lesson.of([*SEEN, *OUTCOMES], shipped.scale)).weights
    assert len(own.promises[0]) > 0
    assert (np.diff(own.promises[0]) > 0).all()
    few = adapt(shipped, Lesson.of(SEEN[:40], shipped.scale)).weights
    assert few.bound(0.5) == float("-inf")

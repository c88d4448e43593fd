"""The learned tier, with the shipped weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gateway.adapters.tier_weights import load
from gateway.core.features import Features
from gateway.core.tier_model import INPUTS, TierWeights, cheapest, classify
from gateway.core.tiers import Tier
from gateway.offline.train_router import features_for


@pytest.fixture(scope="module")
def weights() -> TierWeights:
    return load()


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("What does DNA stand for?", Tier.LIGHT),
        ("Translate this sentence into Spanish: the cat sleeps.", Tier.LIGHT),
        ("Classify the sentiment of this review as positive or negative: I loved it.", Tier.LIGHT),
        ("Write a poem of four stanzas about autumn in the style of Keats, and never use the letter z.", Tier.MEDIUM),
        (
            "Why does my asynchronous Rust server deadlock in production? Debug the concurrent code and refactor it.",
            Tier.HEAVY,
        ),
    ],
)
def test_plain_prompts_get_their_tier(weights: TierWeights, prompt: str, tier: Tier) -> None:
    assert classify(features_for(prompt), weights).tier is tier


def test_no_text_is_no_signal_and_medium(weights: TierWeights) -> None:
    classified = classify(features_for("   "), weights)
    assert (classified.tier, classified.reasons) == (Tier.MEDIUM, ("no signal",))


def brings_along(features: Features, **what: object) -> Features:
    return replace(features, **what)  # type: ignore[arg-type]  # the fields differ in type


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"tools": 2}, "2 tools"),
        ({"images": 1}, "1 images"),
        ({"schema": True}, "JSON schema"),
        ({"turns": 9}, "9 turns"),
    ],
)
def test_what_labels_know_nothing_of_is_never_light(weights: TierWeights, what: dict[str, object], reason: str) -> None:
    light = features_for("What does DNA stand for?")
    classified = classify(brings_along(light, **what), weights)
    assert classified.tier is Tier.MEDIUM
    assert classified.reasons[0] == reason


def test_reasons_name_the_chance_and_inputs_and_no_word_of_the_prompt(weights: TierWeights) -> None:
    reasons = classify(features_for("Prove the theorem of Zorn about xylophones."), weights).reasons
    assert reasons[0].startswith("learned: ")
    assert set(reasons[1:]) <= set(INPUTS)


def test_the_same_prompt_always_gets_the_same_answer(weights: TierWeights) -> None:
    features = features_for("Design a database for a library.")
    assert classify(features, weights) == classify(features, weights)


def test_a_dearer_mistake_moves_the_doubtful_up() -> None:
    doubtful = np.array([[0.5, 0.4, 0.1]], np.float32)
    assert [int(cheapest(doubtful, cost)[0]) for cost in (1.0, 2.0, 9.0)] == [0, 1, 2]

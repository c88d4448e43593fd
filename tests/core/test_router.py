from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.adapters.router_weights import load
from gateway.core.features import features_of
from gateway.core.forecast import Forecast
from gateway.core.router import Kind, RouterWeights, blended, forecast, inputs_of, prior_gain
from gateway.core.signals import SIGNALS, signals
from tests.core.asking import asked

CHOICE = "Which of these is not a mammal?\nA. whale\nB. bat\nC. shark\nD. dog\nAnswer:"


@pytest.fixture(scope="module")
def weights() -> RouterWeights:
    return load()


def forecast_of(prompt: str, weights: RouterWeights) -> Forecast:
    found = forecast(features_of(asked(prompt)), weights, explained=True)
    assert found is not None
    return found


@pytest.mark.parametrize("prompt", ["", "  \n\t "])
def test_without_text_there_is_no_opinion(prompt: str, weights: RouterWeights) -> None:
    assert forecast(features_of(asked(prompt)), weights) is None


def test_another_process_forecasts_the_same(weights: RouterWeights) -> None:
    """Python's own hash differs between processes; nothing here may depend on it."""
    program = (
        "from gateway.adapters.router_weights import load\n"
        "from gateway.core.features import features_of\nfrom gateway.core.router import forecast\n"
        "from tests.core.asking import asked\n"
        f"print(forecast(features_of(asked({CHOICE!r})), load(), explained=True))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
        )
        for seed in ("1", "2")
    ]
    assert said[0].stdout.strip() == said[1].stdout.strip() == str(forecast_of(CHOICE, weights)), said[0].stderr


@given(st.text(max_size=300))
@hypothesis_settings(max_examples=50)
def test_any_text_gets_a_probability_and_a_reason(prompt: str) -> None:
    found = forecast(features_of(asked(prompt)), load(), explained=True)
    if found is not None:
        assert 0 <= found.probability <= 1
        assert 0 <= found.trust <= 1
        assert found.reasons


def test_reasons_name_signals_and_never_words_of_the_prompt(weights: RouterWeights) -> None:
    names = {*SIGNALS, "wording"}
    for reason in forecast_of(CHOICE, weights).reasons:
        direction, _, name = reason.partition(": ")
        assert direction in ("harder", "easier")
        assert name in names


def test_a_reason_speaks_the_way_the_score_moves(weights: RouterWeights) -> None:
    """A signal said to make it harder lowers the gain when it is made ordinary, to first order."""
    features = features_of(asked(CHOICE))
    raw = signals(features.question, features.question_chars)
    inputs = inputs_of(features.question, raw, weights.scale)
    reason = next(each for each in forecast_of(CHOICE, weights).reasons if not each.endswith("wording"))
    direction, _, name = reason.partition(": ")
    at = SIGNALS.index(name)
    nearer = raw.copy()
    nearer[at] += 0.05 * (weights.scale.centre[at] - raw[at])
    moved = weights.light.score(inputs) - weights.light.score(inputs_of(features.question, nearer, weights.scale))
    assert (moved > 0) == (direction == "harder")


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_greater_gain_never_makes_a_light_answer_likelier(one: float, two: float) -> None:
    scores, chances = load().curve
    low, high = sorted((one, two))
    assert np.interp(low, scores, chances) >= np.interp(high, scores, chances)


def test_what_is_like_nothing_learned_from_is_judged_by_the_prior_alone(weights: RouterWeights) -> None:
    strange = forecast_of("日本の首都はどこですか。" * 20, weights)
    assert strange.trust == 0
    assert strange.reasons == ("like nothing learned from: by length and form",)


def test_a_learned_score_is_trusted_near_a_kind_and_no_further() -> None:
    flat = np.zeros(len(SIGNALS), np.float32)
    kind = Kind("own", flat, flat + 1, reach=1.0)
    weights = replace(load(), kinds=(kind,), level=0.1)
    assert blended(0.9, flat, weights) == (0.9, 1.0)
    gain, trust = blended(0.9, flat + 2, weights)
    assert (gain, trust) == (0.1 + prior_gain(flat + 2), 0.0)


def test_the_prior_holds_long_closed_questions_for_harder_and_long_open_prompts_for_easier() -> None:
    def prior(prompt: str) -> float:
        return prior_gain(signals(prompt, len(prompt)))

    assert prior(CHOICE.replace("mammal", "mammal that lives in the sea and eats fish")) > prior(CHOICE)
    assert prior("Shorten this: " + "the cat sat on the mat and " * 20) < prior("Shorten this: the cat sat.")


@given(st.floats(0.0, 1.2), st.floats(0.0, 1.2))
def test_a_higher_target_never_lets_more_be_answered_lightly(one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert load().bound(high) <= load().bound(low)


def test_a_target_between_two_rows_takes_the_stricter(weights: RouterWeights) -> None:
    assert weights.bound(0.9801) == weights.bound(0.985) < weights.bound(0.98)


def test_nothing_keeps_more_than_everything(weights: RouterWeights) -> None:
    assert weights.bound(1.01) == -math.inf


def test_reasons_cost_time_and_are_given_when_asked_for(weights: RouterWeights) -> None:
    told, untold = (forecast(features_of(asked(CHOICE)), weights, explained=explained) for explained in (True, False))
    assert told is not None
    assert untold is not None
    assert untold == replace(told, reasons=())

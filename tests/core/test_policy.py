from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.features import Features, features_of
from gateway.core.forecast import Forecast
from gateway.core.policy import Judged, Policy, RecentScores, TierShares, bounds_for, is_trusted, wanted_tier
from gateway.core.tiers import Classified, Tier
from tests.core.asking import asked, picture, text, user

LONE = features_of(asked("Which of these is a mammal?"))
TIERS = st.sets(st.sampled_from(Tier), min_size=1)
ALL = frozenset(Tier)
GAINS = st.floats(-1, 1)
TARGETS = st.floats(0.5, 1)


def bound_of(target: float) -> float:
    """What a router might have learned: the more is promised, the less may be answered lightly."""
    return 1 - target


def aiming(target: float) -> Policy:
    return Policy(quality_target=target, bounds=bounds_for(target, bound_of), version="v1")


def judged(gain: float, trust: float = 1.0) -> Judged:
    return Judged(Forecast(gain, 0.5, trust))


def by_rules(features: Features) -> Classified:
    return Classified(Tier.MEDIUM, ("no signal",))


def wanted(policy: Policy, known: Judged, tiers: Set[Tier] = ALL, features: Features = LONE) -> Tier:
    return wanted_tier(by_rules, features, known, policy, tiers).tier


@given(TARGETS, TARGETS, GAINS, TIERS)
def test_a_higher_target_never_wants_a_lower_tier(one: float, two: float, gain: float, tiers: set[Tier]) -> None:
    low, high = sorted((one, two))
    assert wanted(aiming(low), judged(gain), tiers).rank <= wanted(aiming(high), judged(gain), tiers).rank


@given(TARGETS, GAINS, GAINS, TIERS)
def test_a_harder_prompt_never_wants_a_lower_tier(target: float, one: float, two: float, tiers: set[Tier]) -> None:
    easy, hard = sorted((one, two))
    assert wanted(aiming(target), judged(easy), tiers).rank <= wanted(aiming(target), judged(hard), tiers).rank


@given(TARGETS, GAINS, TIERS)
def test_what_a_target_wants_is_one_of_the_tiers_there_are(target: float, gain: float, tiers: set[Tier]) -> None:
    assert wanted(aiming(target), judged(gain), tiers) in tiers


@given(TARGETS)
def test_with_two_tiers_the_whole_shortfall_is_the_light_ones(target: float) -> None:
    bounds = bounds_for(target, bound_of)
    assert bounds[frozenset({Tier.LIGHT, Tier.HEAVY})] == {Tier.LIGHT: pytest.approx(1 - target), Tier.HEAVY: math.inf}


@given(TARGETS)
def test_the_shortfall_of_three_tiers_adds_up_to_what_is_allowed(target: float) -> None:
    """Light answers may lose so much; medium ones lose half of what light ones would between the two bounds."""
    bounds: Mapping[Tier, float] = bounds_for(target, bound_of)[frozenset(Tier)]
    light = 1 - (1 - bounds[Tier.LIGHT])
    medium = 1 - (1 - bounds[Tier.MEDIUM])
    assert light + (medium - light) / 2 == pytest.approx(1 - target)


def test_there_are_bounds_for_every_set_of_tiers() -> None:
    sets = {frozenset(chosen) for size in (1, 2, 3) for chosen in combinations(Tier, size)}
    assert set(bounds_for(0.98, bound_of)) == sets


@pytest.mark.parametrize(
    "features",
    [
        features_of(asked("What?", {"role": "assistant", "content": "That."}, "Why?")),
        features_of(asked("What?", tools=[{"type": "function"}])),
        features_of(asked(user([text("What?"), picture()]))),
        features_of(asked("What?", response_format={"type": "json_schema", "json_schema": {}})),
    ],
    ids=["a conversation", "tools", "a picture", "a schema"],
)
def test_a_score_of_lone_questions_decides_nothing_else(features: Features) -> None:
    assert not is_trusted(features, Forecast(-1.0, 1.0, 1.0))
    assert wanted(aiming(0.5), judged(-1.0), features=features) is Tier.MEDIUM


@given(TARGETS, GAINS, st.floats(0, 0.499))
def test_what_was_not_learned_from_is_decided_by_rules(target: float, gain: float, trust: float) -> None:
    found = wanted_tier(by_rules, LONE, judged(gain, trust), aiming(target), set(Tier))
    assert found.tier is Tier.MEDIUM
    assert found.reasons == ("no signal", "by rules: unlike what the router learned from")


@pytest.mark.parametrize(
    ("policy", "known"),
    [
        (Policy(), judged(-1.0)),
        (Policy(shares=TierShares(1.0, 0.0)), judged(-1.0)),
    ],
    ids=["no policy", "too few to compare with"],
)
def test_without_what_a_policy_needs_rules_decide(policy: Policy, known: Judged) -> None:
    assert wanted_tier(by_rules, LONE, known, policy, set(Tier)) == by_rules(LONE)


@pytest.mark.parametrize(
    ("policy", "known", "why"),
    [
        (aiming(0.9), Judged(), "unlike what the router learned from"),
        (replace(aiming(0.9), bounds={}), judged(-1.0), "too little was learned for a target"),
    ],
    ids=["no opinion", "nothing learned"],
)
def test_a_target_that_rules_stand_in_for_says_so(policy: Policy, known: Judged, why: str) -> None:
    found = wanted_tier(by_rules, LONE, known, policy, set(Tier))
    assert (found.tier, found.reasons[-1]) == (Tier.MEDIUM, f"by rules: {why}")


def test_a_decision_says_what_it_was_compared_with() -> None:
    found = wanted_tier(by_rules, LONE, judged(0.004), aiming(0.98), set(Tier))
    assert found.tier is Tier.LIGHT
    assert found.reasons == (
        "expected gain 0.004",
        "light to 0.010, medium to 0.030 keeps 98 % of the best",
        "policy v1",
    )


@pytest.mark.parametrize(
    ("place", "tier"), [(0.0, Tier.LIGHT), (0.6, Tier.MEDIUM), (0.9, Tier.HEAVY), (1.0, Tier.HEAVY)]
)
def test_the_easiest_part_of_the_traffic_is_light(place: float, tier: Tier) -> None:
    policy = Policy(shares=TierShares(0.6, 0.3), version="v1")
    found = wanted_tier(by_rules, LONE, Judged(Forecast(0.0, 0.5, 0.0), place), policy, set(Tier))
    assert (found.tier, found.reasons[0]) == (tier, f"harder than {100 * place:.0f} % of recent prompts")


# recent scores


def placed(recent: RecentScores, gain: float) -> float | None:
    place = recent.place(gain)
    recent.add(gain)
    return place


def test_a_score_has_no_place_among_fewer_than_twenty() -> None:
    recent = RecentScores()
    assert [placed(recent, float(gain)) for gain in range(20)] == [None] * 20
    assert recent.place(19.5) == 1.0


def test_equal_scores_share_the_middle_of_their_place() -> None:
    recent = RecentScores()
    assert {placed(recent, 0.3) for _ in range(40)} == {None, 0.5}


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(600, 700), st.randoms(use_true_random=False))
def test_only_the_last_five_hundred_count(values: list[float], count: int, order: Random) -> None:
    gains = [order.choice(values) for _ in range(count)]
    recent = RecentScores()
    *_, place = [placed(recent, gain) for gain in gains]
    window = gains[-501:-1]
    lower = sum(gain < gains[-1] for gain in window) + sum(gain == gains[-1] for gain in window) / 2
    assert place == pytest.approx(lower / 500)

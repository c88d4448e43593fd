"""What else a plan may know: a service's policy, the latency of models, and where a conversation's prefix is cached."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.forecast import Forecast
from gateway.core.options import DEFAULT, Options
from gateway.core.plan import Catalog, Plan
from gateway.core.planning import Known, make_plan
from gateway.core.policy import Judged, Policy, bounds_for
from gateway.core.pricing import Price, Rates
from gateway.core.service import Service
from gateway.core.tiers import Tier
from gateway.core.warmth import Warm
from tests.core.asking import asked
from tests.core.test_plan import ANYONE, CATALOG, HEAVIER, HEAVY, LIGHT, MEDIUM, model, order


def with_policy(target: float, tiers: frozenset[Tier] | None = None, second_usd: float = 0.0) -> Service:
    bounds = bounds_for(target, lambda promised: 1 - promised)
    return Service("s", tiers=tiers, policy=Policy(target, bounds=bounds, version="v1", value_of_second_usd=second_usd))


def known(gain: float, **facts: Any) -> Known:
    return Known(judged=Judged(Forecast(gain, 0.5, 1.0)), **facts)


def aimed(service: Service, facts: Known, catalog: Catalog = CATALOG, said: str = "Wombats?", **fields: Any) -> Plan:
    return make_plan(asked(said, **fields), DEFAULT, service, catalog, 0.0, facts)


TARGETS = st.floats(0.5, 1)
GAINS = st.floats(-1, 1)


@given(TARGETS, GAINS)
def test_the_first_choice_is_the_cheapest_of_all_that_meet_the_target(target: float, gain: float) -> None:
    cheap_heavy = Catalog((LIGHT, MEDIUM, model("bargain", Tier.HEAVY, "0.5"), HEAVY))
    plan = aimed(with_policy(target), known(gain), cheap_heavy)
    meeting = [each for each in plan.attempts if each.tier.rank >= plan.tier.rank]
    assert plan.attempts[0] == min(meeting, key=lambda each: each.price.rates.input_usd)


@given(TARGETS, TARGETS, GAINS)
def test_a_higher_target_never_picks_a_cheaper_model(one: float, two: float, gain: float) -> None:
    low, high = (aimed(with_policy(target), known(gain)) for target in sorted((one, two)))
    assert low.tier.rank <= high.tier.rank
    assert low.attempts[0].price.rates.input_usd <= high.attempts[0].price.rates.input_usd


@given(TARGETS, GAINS, st.sets(st.sampled_from(Tier), min_size=1).map(frozenset))
def test_no_attempt_leaves_the_tiers_of_the_service(target: float, gain: float, tiers: frozenset[Tier]) -> None:
    assert {each.tier for each in aimed(with_policy(target, tiers), known(gain)).attempts} <= tiers


@given(TARGETS, GAINS)
def test_a_target_never_swaps_a_pinned_model(target: float, gain: float) -> None:
    assert order(aimed(with_policy(target), known(gain), model="light")) == ["light"]


@given(TARGETS, GAINS, st.sampled_from(Tier))
def test_a_target_never_moves_a_tier_that_was_asked_for(target: float, gain: float, tier: Tier) -> None:
    plan = aimed(with_policy(target), known(gain), model=f"auto:{tier}")
    assert (plan.tier, plan.attempts[0].tier, plan.reasons) == (tier, tier, ("asked for",))


def test_waiting_has_a_price() -> None:
    slow = known(-1.0, latency_s={"lighter": 60.0})
    assert order(aimed(with_policy(0.9), slow))[0] == "lighter"
    assert order(aimed(with_policy(0.9, second_usd=0.0001), slow))[0] == "light"


def test_what_costs_less_is_counted_in_dollars_and_not_in_seconds() -> None:
    slow = known(-1.0, latency_s={"lighter": 60.0})
    assert "lighter" in aimed(with_policy(0.9, second_usd=0.0001), slow).stand_ins


# where a prefix is cached

CACHES = replace(HEAVIER, price=Price(Rates(Decimal(8), Decimal(8), cache_read_usd=Decimal("0.01"))))
WARM = Catalog((LIGHT, replace(HEAVY, price=Price(Rates(Decimal(7), Decimal(7)))), CACHES))
LONG = "word " * 20_000


def test_a_conversation_stays_where_it_is_cached() -> None:
    plan = make_plan(asked(LONG), Options(tier=Tier.HEAVY), ANYONE, WARM, 0.0, Known(warm=Warm("heavier", 20_000)))
    assert order(plan)[0] == "heavier"
    assert plan.reasons[1].startswith("stays with heavier and 20,000 cached tokens: heavy costs $")


def test_a_tier_that_was_asked_for_is_no_reason_to_stay_in_another() -> None:
    plan = make_plan(asked(LONG), Options(tier=Tier.LIGHT), ANYONE, WARM, 0.0, Known(warm=Warm("heavier", 20_000)))
    assert plan.attempts[0].tier is not Tier.LIGHT  # it does not fit there
    fits = make_plan(asked("Hi"), Options(tier=Tier.LIGHT), ANYONE, WARM, 0.0, Known(warm=Warm("heavier", 20_000)))
    assert order(fits)[0] == "light"


def test_a_prompt_that_needs_more_leaves_the_model_that_is_warm() -> None:
    plan = make_plan(
        asked("Prove that e is irrational."), DEFAULT, ANYONE, CATALOG, 0.0, Known(warm=Warm("light", 900))
    )
    assert plan.attempts[0].tier is Tier.HEAVY
    assert plan.reasons[-1].startswith("leaves light and 900 cached tokens: a switch of $")


@given(st.sampled_from(["light", "lighter", "medium", "heavy", "heavier", "gone"]), st.integers(0, 10**6))
def test_warmth_never_goes_below_the_tier_that_is_wanted(name: str, tokens: int) -> None:
    plan = make_plan(asked("Wombats?"), DEFAULT, ANYONE, CATALOG, 0.0, Known(warm=Warm(name, tokens)))
    assert plan.attempts[0].tier.rank >= plan.tier.rank

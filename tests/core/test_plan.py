from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import ChatRequest
from gateway.core.errors import Forbidden, InvalidRequest, ModelNotFound, ThriftgateError, Unavailable
from gateway.core.options import DEFAULT, Options
from gateway.core.plan import Catalog, Model, Plan
from gateway.core.planning import make_plan
from gateway.core.pricing import Change, Peak, Price, Rates
from gateway.core.profile import Profile
from gateway.core.service import Service
from gateway.core.tiers import Tier
from tests.core.asking import asked, picture, text, user

ANYONE = Service("anyone")


def model(name: str, tier: Tier, usd: str, provider: str = "p", **facts: Any) -> Model:
    price = Price(Rates(Decimal(usd), Decimal(usd)))
    return Model(name, provider, f"{name}-2026", tier, price, Profile(**facts))


LIGHT = model("light", Tier.LIGHT, "0.1", context_tokens=1_000)
LIGHTER = model("lighter", Tier.LIGHT, "0", provider="local", tools=False, context_tokens=100)
MEDIUM = model("medium", Tier.MEDIUM, "1", vision=True)
HEAVY = model("heavy", Tier.HEAVY, "4", provider="q", vision=True)
HEAVIER = model("heavier", Tier.HEAVY, "8")
CATALOG = Catalog((HEAVIER, MEDIUM, LIGHT, HEAVY, LIGHTER))


def planned(
    chat: ChatRequest | str = "auto",
    options: Options = DEFAULT,
    service: Service = ANYONE,
    catalog: Catalog = CATALOG,
    unix_s: float = 0.0,
) -> Plan:
    return make_plan(asked(model=chat) if isinstance(chat, str) else chat, options, service, catalog, unix_s)


def order(plan: Plan) -> list[str]:
    return [attempt.name for attempt in plan.attempts]


def without(*providers: str) -> Catalog:
    return Catalog(CATALOG.models, dict.fromkeys(providers, "P_API_KEY is not set"))


# names


@pytest.mark.parametrize("name", ["medium", "p/medium-2026", "p/medium"])
def test_a_model_may_be_named_in_three_spellings(name: str) -> None:
    plan = planned(name)
    assert plan == Plan((MEDIUM,), "model:medium", Tier.MEDIUM, pinned=True, reasons=("pinned",))


@pytest.mark.parametrize("name", ["medium-2026", "q/medium", "Medium", "p/", "/medium", "automatic", "gpt-7"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ModelNotFound, match="Here are: auto, heavier, medium, light, heavy, lighter") as caught:
        planned(name)
    assert caught.value.param == "model"


@pytest.mark.parametrize("tier", list(Tier))
def test_auto_may_name_its_tier(tier: Tier) -> None:
    plan = planned(f"auto:{tier}")
    assert (plan.tier, plan.resolved, plan.pinned, plan.reasons) == (tier, f"tier:{tier}", False, ("asked for",))
    assert plan.attempts[0].tier is tier


def test_a_tier_that_is_none_is_refused() -> None:
    with pytest.raises(ModelNotFound, match="auto:light, auto:medium or auto:heavy"):
        planned("auto:cheap")


def test_auto_alone_is_classified() -> None:
    plan = planned(asked("Prove that there is no largest prime."))
    assert plan.tier is Tier.HEAVY
    assert "proof" in plan.reasons


def test_a_header_names_the_tier_of_auto() -> None:
    assert planned(asked("Prove it."), Options(tier=Tier.LIGHT)).tier is Tier.LIGHT


def test_a_tier_in_the_name_wins_over_the_header() -> None:
    assert planned("auto:heavy", Options(tier=Tier.LIGHT)).tier is Tier.HEAVY


@given(st.text(max_size=200), st.sampled_from([None, *Tier]), st.booleans())
def test_a_pinned_model_is_never_swapped(said: str, tier: Tier | None, fallback: bool) -> None:
    plan = planned(asked(said, model="light"), Options(tier=tier, fallback=fallback))
    assert (order(plan), plan.tier, plan.resolved) == (["light"], Tier.LIGHT, "model:light")


def test_a_pinned_model_is_asked_even_for_what_it_may_refuse() -> None:
    assert order(planned(asked(user([picture()]), model="lighter", tools=[{}]))) == ["lighter"]


# the order of attempts


@pytest.mark.parametrize(
    ("alias", "names"),
    [
        ("auto:light", ["lighter", "light", "medium", "heavy", "heavier"]),
        ("auto:medium", ["medium", "heavy", "heavier", "lighter", "light"]),
        ("auto:heavy", ["heavy", "heavier", "medium", "lighter", "light"]),
    ],
)
def test_the_tier_itself_by_price_then_upwards_then_downwards(alias: str, names: list[str]) -> None:
    assert order(planned(alias)) == names


def test_equal_prices_are_ordered_by_name() -> None:
    twins = Catalog((model("b", Tier.LIGHT, "1"), model("a", Tier.LIGHT, "1")))
    assert order(planned("auto:light", catalog=twins)) == ["a", "b"]


def test_which_model_is_cheapest_depends_on_how_much_is_read_and_written() -> None:
    reads = Model("reads", "p", "r", Tier.LIGHT, Price(Rates(Decimal("0.1"), Decimal(10))))
    writes = Model("writes", "p", "w", Tier.LIGHT, Price(Rates(Decimal(1), Decimal(1))))
    catalog = Catalog((reads, writes))
    assert order(planned("auto:light", catalog=catalog)) == ["writes", "reads"]
    assert order(planned(asked("x" * 400_000, model="auto:light", max_tokens=10), catalog=catalog)) == [
        "reads",
        "writes",
    ]


def test_which_model_is_cheapest_depends_on_the_hour_and_the_day() -> None:
    flat = model("flat", Tier.LIGHT, "2")
    double = Rates(Decimal(3), Decimal(3))
    falling = Price(double, changes=(Change(86_400.0, Price(Rates(Decimal(1)), peaks=(Peak(60, 120, double),))),))
    catalog = Catalog((flat, Model("moody", "p", "moody", Tier.LIGHT, falling)))
    hours = {hour: order(planned("auto:light", catalog=catalog, unix_s=hour * 3_600.0))[0] for hour in (1, 24, 25, 26)}
    assert hours == {1: "flat", 24: "moody", 25: "flat", 26: "moody"}  # the second day is a Friday


def test_without_fallback_only_the_first_is_tried() -> None:
    assert order(planned("auto:medium", Options(fallback=False))) == ["medium"]


def test_a_tier_without_a_model_goes_up_and_says_so() -> None:
    plan = planned("auto:medium", catalog=Catalog((LIGHT, HEAVY)))
    assert order(plan) == ["heavy", "light"]
    assert plan.reasons == ("asked for", "no medium model available: heavy instead")
    assert plan.resolved == "tier:medium"


def test_a_catalog_of_one_serves_every_tier() -> None:
    assert order(planned("auto:heavy", catalog=Catalog((LIGHT,)))) == ["light"]


# what is absent


def test_an_absent_provider_is_left_out() -> None:
    assert order(planned("auto:heavy", catalog=without("q"))) == ["heavier", "medium", "lighter", "light"]


def test_a_pinned_model_of_an_absent_provider_says_why() -> None:
    with pytest.raises(ModelNotFound, match="needs provider `q`: P_API_KEY is not set"):
        planned("heavy", catalog=without("q"))


def test_an_absent_model_is_not_among_the_known_ones() -> None:
    with pytest.raises(ModelNotFound) as caught:
        planned("gpt-7", catalog=without("p", "local"))
    assert caught.value.message.endswith("Here are: auto, heavy.")


def test_with_nothing_present_auto_is_unavailable_and_says_why() -> None:
    with pytest.raises(Unavailable, match="local: P_API_KEY is not set"):
        planned(catalog=without("p", "q", "local"))
    with pytest.raises(Unavailable, match="none is configured"):
        planned(catalog=Catalog(()))


# what a service may ask for


@pytest.mark.parametrize("allowed", ["light", "p/light-2026", "p/light"])
@pytest.mark.parametrize("name", ["light", "p/light-2026", "p/light"])
def test_an_allowed_model_may_be_asked_for_in_any_spelling(allowed: str, name: str) -> None:
    assert order(planned(name, service=Service("s", frozenset({allowed})))) == ["light"]


@pytest.mark.parametrize("name", ["medium", "p/medium", "auto", "auto:light"])
def test_what_is_not_allowed_is_forbidden(name: str) -> None:
    with pytest.raises(Forbidden, match="Service `s` may not use") as caught:
        planned(name, service=Service("s", frozenset({"light"})))
    assert caught.value.param == "model"


def test_who_may_ask_for_auto_may_be_routed_anywhere() -> None:
    service = Service("s", frozenset({"auto"}))
    assert len(planned(service=service).attempts) == len(CATALOG.models)
    assert planned("auto:heavy", service=service).tier is Tier.HEAVY


def test_one_tier_of_auto_may_be_all_that_is_allowed() -> None:
    service = Service("s", frozenset({"auto:light"}))
    assert planned("auto:light", service=service).tier is Tier.LIGHT
    for name in ("auto", "auto:heavy"):
        with pytest.raises(Forbidden):
            planned(name, service=service)


def test_an_allow_list_of_nothing_allows_nothing() -> None:
    with pytest.raises(Forbidden):
        planned(service=Service("s", frozenset()))


# what `auto` may use for a service

PROOF = "Prove that the square root of two is irrational, by induction if you can."
UP_TO_MEDIUM = Service("s", tiers=frozenset({Tier.LIGHT, Tier.MEDIUM}))


def test_auto_tries_no_model_of_a_tier_that_is_not_the_services() -> None:
    assert order(planned("auto:light", service=UP_TO_MEDIUM)) == ["lighter", "light", "medium"]


def test_the_nearest_tier_stands_in_for_one_that_is_not_the_services() -> None:
    plan = planned(asked(user(PROOF), model="auto"), service=UP_TO_MEDIUM)
    assert (plan.tier, plan.resolved, order(plan)[0]) == (Tier.MEDIUM, "tier:medium", "medium")
    assert plan.reasons[-1] == "heavy is not for this service: medium instead"


def test_upwards_is_nearer_than_downwards() -> None:
    service = Service("s", tiers=frozenset({Tier.LIGHT, Tier.HEAVY}))
    assert planned(asked(user("Wombats dig at night."), model="auto"), service=service).tier is Tier.HEAVY


@pytest.mark.parametrize(
    ("name", "options", "param"),
    [("auto:heavy", DEFAULT, "model"), ("auto", Options(tier=Tier.HEAVY), "thriftgate.tier")],
)
def test_a_tier_that_is_asked_for_and_not_the_services_is_forbidden(name: str, options: Options, param: str) -> None:
    with pytest.raises(Forbidden, match="may not use tier `heavy`; it may use light, medium") as caught:
        planned(name, options, UP_TO_MEDIUM)
    assert caught.value.param == param


def test_a_model_that_is_named_is_not_bound_to_the_tiers_of_auto() -> None:
    assert order(planned("heavy", service=UP_TO_MEDIUM)) == ["heavy"]


def test_without_a_model_of_its_tiers_a_service_is_told_why() -> None:
    with pytest.raises(Unavailable, match="q: P_API_KEY is not set"):
        planned(service=Service("s", tiers=frozenset({Tier.HEAVY})), catalog=without("q", "p"))


# capabilities come before price


def test_images_go_only_to_models_that_see() -> None:
    assert order(planned(asked(user([picture()]), model="auto:light"))) == ["medium", "heavy"]


def test_tools_go_only_to_models_that_call_them() -> None:
    assert "lighter" not in order(planned(asked(model="auto:light", tools=[{"type": "function"}])))


@pytest.mark.parametrize("tools", [None, []])
def test_no_tools_rule_nobody_out(tools: object) -> None:
    assert order(planned(asked(model="auto:light", tools=tools)))[0] == "lighter"


def test_a_long_prompt_goes_only_where_it_fits() -> None:
    assert order(planned(asked("x" * 800, model="auto:light"))) == ["light", "medium", "heavy", "heavier"]
    assert order(planned(asked("x" * 8_000, model="auto:light"))) == ["medium", "heavy", "heavier"]


def test_the_answer_must_fit_too() -> None:
    assert order(planned(asked(model="auto:light", max_tokens=500)))[0] == "light"


def test_what_fits_nowhere_is_tried_in_the_largest_window() -> None:
    assert order(planned(asked("x" * 8_000), catalog=Catalog((LIGHTER, LIGHT)))) == ["light"]


@pytest.mark.parametrize(
    ("chat", "param"),
    [(asked(user([text("What?"), picture()])), "messages"), (asked(tools=[{"type": "function"}]), "tools")],
)
def test_what_no_model_can_take_is_the_requests_fault(chat: ChatRequest, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        planned(chat, catalog=Catalog((LIGHTER,)))
    assert caught.value.param == param


# laws

MODELS = st.builds(
    model,
    st.text("abc", min_size=1, max_size=3),
    st.sampled_from(Tier),
    st.sampled_from(["0", "1", "2"]),
    st.sampled_from(["p", "q"]),
    vision=st.booleans(),
    tools=st.booleans(),
    context_tokens=st.none() | st.integers(1, 100),
)
CATALOGS = st.builds(
    Catalog, st.lists(MODELS, max_size=5).map(tuple), st.dictionaries(st.sampled_from(["p", "q"]), st.just("no key"))
)
CHATS = st.builds(
    lambda said, name, tools, pictures: asked(
        user([text(said), *[picture()] * pictures]), model=name, tools=[{}] * tools
    ),
    st.text(max_size=50),
    st.sampled_from(["auto", "auto:light", "auto:medium", "auto:heavy", "a", "p/a"]),
    st.integers(0, 1),
    st.integers(0, 1),
)


@given(CHATS, CATALOGS)
def test_a_plan_has_attempts_and_reasons_and_uses_only_what_is_present(chat: ChatRequest, catalog: Catalog) -> None:
    try:
        plan = planned(chat, catalog=catalog)
    except ThriftgateError:
        return
    assert plan.attempts
    assert plan.reasons
    assert not {attempt.provider for attempt in plan.attempts} & set(catalog.absent)
    assert plan == planned(chat, catalog=catalog)


def test_what_costs_less_may_stand_in_for_what_the_router_chose() -> None:
    plan = planned(asked("Prove that there are infinitely many primes.", model="auto"))
    assert plan.attempts[0] == HEAVY
    assert plan.stand_ins == {"medium", "light", "lighter"}


@pytest.mark.parametrize("chat", ["auto:heavy", "medium"])
def test_nothing_stands_in_for_what_was_asked_for(chat: str) -> None:
    assert not planned(chat).stand_ins


def test_without_fallbacks_nothing_stands_in() -> None:
    assert not planned(options=Options(fallback=False)).stand_ins

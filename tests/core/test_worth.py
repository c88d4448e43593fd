from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import ChatRequest
from gateway.core.plan import Model
from gateway.core.pricing import Price, Rates
from gateway.core.tiers import Tier
from gateway.core.worth import EXPLORE_TURN, Weighed, Worth, WorthRules
from tests.core.asking import asked

CHAT = asked("Name the capital city of France.")
FREE = Model("local", "local", "local", Tier.LIGHT)
PAID = Model("dear", "cloud", "dear", Tier.HEAVY, Price(Rates(Decimal(5), Decimal(25))))
NOW_S = 1_800_000_000.0


def weigh(
    worth: Worth,
    model: Model = FREE,
    service: str = "shop",
    false_rate: float = 0.0,
    chat: ChatRequest = CHAT,
    text: str = "Name the capital city of France.",
) -> Weighed:
    return worth.weigh(service, chat, model, text, false_rate=false_rate, wait_s=0.012, unix_s=NOW_S)


def missed(worth: Worth, looks: int, service: str = "shop") -> None:
    for _ in range(looks):
        worth.looked(service, hit=False)


def test_at_first_a_free_local_model_and_a_dear_one_are_both_worth_looking() -> None:
    worth = Worth(WorthRules())
    assert weigh(worth, FREE) == Weighed(look=True, worth_usd=0.1 * 0.0001, cost_usd=0.012 * 0.00011)
    assert weigh(worth, PAID).worth_usd > weigh(worth, FREE).worth_usd
    assert weigh(worth, FREE).reason == ""


def test_a_free_model_that_answers_at_once_is_not_worth_it_and_the_reason_has_both_figures() -> None:
    worth = Worth(WorthRules())
    for _ in range(200):
        worth.answered("local", answer_s=0.01, output_tokens=20)
    weighed = weigh(worth)
    assert not weighed.look
    assert weighed.reason == "semantic skipped: worth $0.0000001 < cost $0.0000013"


def test_misses_end_the_look_ups_for_the_cheap_model_first() -> None:
    worth = Worth(WorthRules())
    missed(worth, 200)
    assert not weigh(worth, FREE).look
    assert weigh(worth, PAID).look


def test_hits_bring_them_back() -> None:
    worth = Worth(WorthRules())
    missed(worth, 2_000)
    assert not weigh(worth).look
    for _ in range(20):
        worth.looked("shop", hit=True)
    assert weigh(worth).look


def test_one_services_misses_are_not_anothers() -> None:
    worth = Worth(WorthRules())
    missed(worth, 2_000, "shop")
    assert not weigh(worth, service="shop").look
    assert weigh(worth, service="desk").look


def test_hits_that_are_half_wrong_are_worth_nothing() -> None:
    assert weigh(Worth(WorthRules()), PAID, false_rate=0.5).worth_usd == 0.0


def test_the_wait_grows_with_the_tokens_and_with_a_slower_embedder() -> None:
    worth = Worth(WorthRules())
    assert worth.wait_s(20) == pytest.approx(0.010)
    assert worth.wait_s(200) == pytest.approx(0.082)
    for _ in range(200):
        worth.embedded(tokens=20, took_s=0.042)
    assert worth.wait_s(20) == pytest.approx(0.042, rel=0.01)


def test_nothing_is_hopeless_until_the_embedders_pace_was_seen() -> None:
    worth = Worth(WorthRules())
    assert not worth.is_hopeless(256, 0.03)
    worth.embedded(tokens=20, took_s=0.010)
    assert worth.is_hopeless(256, 0.03)
    assert not worth.is_hopeless(20, 0.03)


def test_some_of_the_hopeless_are_tried_all_the_same_because_the_pace_may_be_a_moments() -> None:
    worth = Worth(WorthRules(explore_every=3))
    worth.embedded(tokens=20, took_s=0.42)
    just_late = [worth.is_hopeless(20, 0.03) for _ in range(40)]
    far_beyond = [worth.is_hopeless(200, 0.03) for _ in range(40)]
    assert just_late == [True, True, True, False] * 10
    assert all(far_beyond)
    assert not all(worth.is_hopeless(200, 0.03) for _ in range(400))


@given(st.lists(st.tuples(st.integers(0, 4_096), st.floats(0, 10)), max_size=30), st.integers(0, 4_096))
def test_more_tokens_never_wait_less(seen: list[tuple[int, float]], tokens: int) -> None:
    worth = Worth(WorthRules())
    for embedded, took_s in seen:
        worth.embedded(embedded, took_s)
    assert 0 < worth.wait_s(tokens) <= worth.wait_s(tokens + 1)


def test_about_one_in_so_many_that_do_not_pay_is_looked_up_to_learn_the_odds() -> None:
    worth = Worth(WorthRules(value_of_second_usd=0.0, explore_every=50))
    looks = [weigh(worth, text=f"Where is parcel {number}?") for number in range(10_000)]
    explored = [weighed for weighed in looks if weighed.look]
    assert 150 < len(explored) < 250
    assert all(weighed.explored for weighed in explored)
    assert explored[0].reason.startswith("semantic explored although worth $0.0000000 < cost $")


def test_questions_that_ask_the_same_are_explored_together_or_they_would_never_meet() -> None:
    worth = Worth(WorthRules(value_of_second_usd=0.0, explore_every=4))
    cities = (
        "France",
        "Kazakhstan",
        "Argentina",
        "Bangladesh",
        "Montenegro",
        "Luxembourg",
        "Madagascar",
        "Turkmenistan",
    )
    asked = [weigh(worth, text=f"Name the capital city of {name}.").look for name in cities]
    again = [weigh(worth, text=f"Name the capital city of {name}, please, now.").look for name in cities]
    assert asked == again
    assert len(set(asked)) == 2


def test_a_service_with_one_subject_is_explored_in_turns_and_not_always_or_never() -> None:
    worth = Worth(WorthRules(value_of_second_usd=0.0, explore_every=4))
    looks = [weigh(worth).look for _ in range(40 * EXPLORE_TURN)]
    assert 0.1 < sum(looks) / len(looks) < 0.4
    assert all(len(set(looks[at : at + EXPLORE_TURN])) == 1 for at in range(0, len(looks), EXPLORE_TURN))


def test_where_neither_seconds_nor_cores_cost_anything_every_look_up_pays() -> None:
    assert weigh(Worth(WorthRules(value_of_second_usd=0.0, cpu_second_usd=0.0))).look


def test_an_answer_cannot_be_expected_longer_than_the_client_allows() -> None:
    short = asked("Hello", max_tokens=1)
    worth = Worth(WorthRules())
    assert weigh(worth, PAID, chat=short).worth_usd < weigh(worth, PAID).worth_usd


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_false_hits_never_make_a_look_up_worth_more(looks: list[bool], one: float, two: float) -> None:
    worth = Worth(WorthRules())
    for hit in looks:
        worth.looked("shop", hit=hit)
    few, many = sorted((one, two))
    assert weigh(worth, PAID, false_rate=many).worth_usd <= weigh(worth, PAID, false_rate=few).worth_usd


@given(st.lists(st.booleans(), max_size=60))
def test_the_same_history_gives_the_same_decision(history: list[bool]) -> None:
    one, two = Worth(WorthRules()), Worth(WorthRules())
    for worth in (one, two):
        for hit in history:
            worth.looked("shop", hit=hit)
    assert [weigh(one) for _ in range(5)] == [weigh(two) for _ in range(5)]


def test_what_was_learned_is_weighed_by_other_rules_and_goes_on_being_learned() -> None:
    worth = Worth(WorthRules())
    missed(worth, 1_000)
    dearer = worth.under(WorthRules(value_of_second_usd=1.0))
    assert weigh(dearer).worth_usd > weigh(worth).worth_usd
    before = weigh(worth).worth_usd
    missed(dearer, 1_000)
    assert weigh(worth).worth_usd < before

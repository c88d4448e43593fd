from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.plan import Model
from gateway.core.pricing import Price, Rates
from gateway.core.tiers import Tier
from gateway.core.worth import Weighed, Worth, WorthRules
from tests.core.asking import asked

CHAT = asked("Name the capital city of France.")
FREE = Model("local", "local", "local", Tier.LIGHT)
PAID = Model("dear", "cloud", "dear", Tier.HEAVY, Price(Rates(Decimal(5), Decimal(25))))
NOW_S = 1_800_000_000.0


def weigh(worth: Worth, model: Model = FREE, service: str = "shop", false_rate: float = 0.0) -> Weighed:
    return worth.weigh(service, CHAT, model, false_rate, NOW_S)


def missed(worth: Worth, looks: int, service: str = "shop") -> None:
    for _ in range(looks):
        worth.looked(service, hit=False, waited_s=0.012)


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
        worth.looked("shop", hit=True, waited_s=0.012)
    assert weigh(worth).look


def test_one_services_misses_are_not_anothers() -> None:
    worth = Worth(WorthRules())
    missed(worth, 2_000, "shop")
    assert not weigh(worth, service="shop").look
    assert weigh(worth, service="desk").look


def test_hits_that_are_half_wrong_are_worth_nothing() -> None:
    assert weigh(Worth(WorthRules()), PAID, false_rate=0.5).worth_usd == 0.0


def test_slow_look_ups_cost_more() -> None:
    worth = Worth(WorthRules())
    before = weigh(worth).cost_usd
    worth.looked("shop", hit=False, waited_s=0.03)
    assert weigh(worth).cost_usd > before


def test_every_nth_look_up_that_does_not_pay_is_made_to_learn_the_odds() -> None:
    worth = Worth(WorthRules(value_of_second_usd=0.0, explore_every=3))
    looks = [weigh(worth) for _ in range(9)]
    assert [weighed.look for weighed in looks] == [False, False, True] * 3
    assert looks[2].explored
    assert looks[2].reason.startswith("semantic explored although worth $0.0000000 < cost $")


def test_where_neither_seconds_nor_cores_cost_anything_every_look_up_pays() -> None:
    assert weigh(Worth(WorthRules(value_of_second_usd=0.0, cpu_second_usd=0.0))).look


def test_an_answer_cannot_be_expected_longer_than_the_client_allows() -> None:
    short = asked("Hello", max_tokens=1)
    worth = Worth(WorthRules())
    assert worth.weigh("shop", short, PAID, 0.0, NOW_S).worth_usd < weigh(worth, PAID).worth_usd


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_false_hits_never_make_a_look_up_worth_more(looks: list[bool], one: float, two: float) -> None:
    worth = Worth(WorthRules())
    for hit in looks:
        worth.looked("shop", hit=hit, waited_s=0.01)
    few, many = sorted((one, two))
    assert weigh(worth, PAID, false_rate=many).worth_usd <= weigh(worth, PAID, false_rate=few).worth_usd


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=60))
def test_the_same_history_gives_the_same_decision(history: list[tuple[bool, float]]) -> None:
    one, two = Worth(WorthRules()), Worth(WorthRules())
    for worth in (one, two):
        for hit, waited_s in history:
            worth.looked("shop", hit=hit, waited_s=waited_s)
    assert [weigh(one) for _ in range(5)] == [weigh(two) for _ in range(5)]

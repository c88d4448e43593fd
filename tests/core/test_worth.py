from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.plan import Model
from gateway.core.pricing import Price, Rates
from gateway.core.tiers import Tier
from gateway.core.worth import ANSWER_SHARE, LATE_EVERY, REQUEST_S, Verdict, Weighed, Worth, WorthRules

FREE = Model("local", "local", "local", Tier.LIGHT)
PAID = Model("dear", "cloud", "dear", Tier.HEAVY, Price(Rates(Decimal(5), Decimal(25))))
NOW_S = 1_800_000_000.0
RULES = WorthRules()
SECOND_USD = RULES.value_of_second_usd + RULES.cpu_second_usd
CHEAP_USD, DEAR_USD = 0.0002, 0.01


def weigh(
    worth: Worth,
    model: Model = FREE,
    service: str = "shop",
    false_rate: float = 0.0,
    text: str = "Name the capital city of France.",
    waiting_tokens: int = 0,
    deadline_s: float = 0.03,
) -> Weighed:
    return worth.weigh(
        service,
        model,
        text,
        false_rate=false_rate,
        waiting_tokens=waiting_tokens,
        deadline_s=deadline_s,
        unix_s=NOW_S,
    )


def verdicts(worth: Worth, times: int, **weighed: object) -> list[Verdict]:
    return [weigh(worth, **weighed).verdict for _ in range(times)]  # type: ignore[arg-type]  # handed on as they are


def looked(worth: Worth, hits: int, misses: int = 0, service: str = "shop") -> None:
    for at in range(hits + misses):
        worth.looked(service, hit=at < hits)


class Traffic:
    """A service and its answers, as the flow would have it: what is looked up is stored, and hits what was stored."""

    def __init__(self, answer_usd: float, chars: int, seed: int = 1, explore_share: float = 0.02) -> None:
        self.worth = Worth(WorthRules(explore_share=explore_share))
        self.chance = Random(seed)
        self.model = Model("m", "p", "m", Tier.LIGHT, Price(Rates(output_usd=Decimal(answer_usd) * 5_000)))
        self.answer_usd = answer_usd
        self.chars = chars
        self.asked: list[str] = []
        self.stored: set[str] = set()
        self.looked_s = 0.0

    def ask(self, repeating: float = 0.0) -> Verdict:
        """One question; `repeating` is how likely it is one of the last 500 again."""
        again = bool(self.asked) and self.chance.random() < repeating
        text = self.chance.choice(self.asked[-500:]) if again else self._fresh()
        self.asked.append(text)
        weighed = weigh(self.worth, self.model, text=text)
        if weighed.verdict in ("pays", "explored"):
            self._look(text, explored=weighed.verdict == "explored")
        self.worth.answered("shop", "m", 0.3, self.answer_usd)
        return weighed.verdict

    def _fresh(self) -> str:
        word = "".join(self.chance.choices("abcdefghijklmnop", k=12))
        return f"{word} {'word ' * ((self.chars - 13) // 5)}"

    def _look(self, text: str, *, explored: bool) -> None:
        if explored:
            self.worth.explored("shop", self.model, len(text) // 4)
        self.looked_s += self.worth.wait_s(len(text) // 4)
        self.worth.looked("shop", hit=text in self.stored)
        self.stored.add(text)


def test_a_service_without_a_hit_is_explored_and_one_with_a_hit_pays() -> None:
    worth = Worth(RULES)
    assert weigh(worth, FREE).verdict == "explored"
    looked(worth, hits=1)
    assert weigh(worth, FREE).verdict == "pays"
    assert weigh(worth, FREE).reason == ""


def test_what_a_look_up_is_worth_is_the_hit_rate_times_what_an_answer_costs_in_dollars_and_seconds() -> None:
    worth = Worth(RULES)
    looked(worth, hits=1)
    hit_rate = 1 / (20 * (1 - 1 / 500) + 1)
    assert weigh(worth, FREE).worth_usd == pytest.approx(hit_rate * 1.0 * 0.0001)
    assert weigh(worth, PAID).worth_usd == pytest.approx(hit_rate * (200 * 5e-6 + 200 * 25e-6 + 0.0001))
    assert weigh(worth, FREE).cost_usd == pytest.approx((0.002 + 8 * 0.0004) * SECOND_USD)


def test_a_free_model_that_answers_at_once_is_not_worth_it_and_the_reason_has_both_figures() -> None:
    worth = Worth(RULES)
    looked(worth, hits=2)
    weigh(worth)
    for _ in range(200):
        worth.answered("shop", "local", answer_s=0.001, answer_usd=0.0)
    weighed = weigh(worth)
    assert weighed.verdict == "unpaid"
    assert weighed.reason == "semantic skipped: worth $0.0000000 < cost $0.0000006"


def test_what_an_answer_costs_is_learned_for_each_service() -> None:
    worth = Worth(RULES)
    for service in ("shop", "desk"):
        looked(worth, hits=1, service=service)
        weigh(worth, PAID, service)
    for _ in range(200):
        worth.answered("shop", PAID.name, answer_s=0.0, answer_usd=1.0)
    assert weigh(worth, PAID, "shop").worth_usd > 100 * weigh(worth, PAID, "desk").worth_usd


def test_misses_end_the_look_ups_for_the_cheap_model_first() -> None:
    worth = Worth(RULES)
    looked(worth, hits=1, misses=200)
    assert weigh(worth, FREE).worth_usd < weigh(worth, FREE).cost_usd
    assert weigh(worth, PAID).verdict == "pays"


def test_hits_bring_them_back() -> None:
    worth = Worth(RULES)
    looked(worth, hits=0, misses=2_000)
    assert weigh(worth).verdict != "pays"
    looked(worth, hits=20)
    assert weigh(worth).verdict == "pays"


def test_one_services_look_ups_are_not_anothers() -> None:
    worth = Worth(RULES)
    looked(worth, hits=1, service="shop")
    assert weigh(worth, service="shop").verdict == "pays"
    assert weigh(worth, service="desk").verdict != "pays"


def test_hits_that_are_half_wrong_are_worth_nothing() -> None:
    worth = Worth(RULES)
    looked(worth, hits=10)
    assert weigh(worth, PAID, false_rate=0.5).worth_usd == 0.0


def test_the_wait_grows_with_the_tokens_and_with_a_slower_embedder() -> None:
    worth = Worth(RULES)
    assert worth.wait_s(20) == pytest.approx(0.010)
    assert worth.wait_s(200) == pytest.approx(0.082)
    for _ in range(200):
        worth.embedded(tokens=20, took_s=0.042)
    assert worth.wait_s(20) == pytest.approx(0.042, rel=0.01)


def test_a_text_in_another_script_is_taken_for_more_tokens() -> None:
    worth = Worth(RULES)
    assert weigh(worth, text="Où est la Loire ?").cost_usd > weigh(worth, text="Ou est la Loire ?").cost_usd


def test_nothing_is_late_until_the_embedders_pace_was_seen() -> None:
    worth = Worth(RULES)
    looked(worth, hits=10)
    assert weigh(worth, deadline_s=0.001).verdict == "pays"
    worth.embedded(tokens=20, took_s=0.010)
    assert weigh(worth, deadline_s=0.001).verdict == "late"
    assert weigh(worth, deadline_s=0.03).verdict == "pays"
    assert weigh(worth, waiting_tokens=100).verdict == "late"


def test_some_of_what_would_pay_and_be_late_is_tried_because_the_pace_may_be_a_moments() -> None:
    worth = Worth(RULES)
    looked(worth, hits=10)
    worth.embedded(tokens=20, took_s=0.010)
    wait_s = weigh(worth).wait_s
    just_late = verdicts(worth, 2 * LATE_EVERY, deadline_s=0.999 * wait_s)
    far_beyond = verdicts(worth, 2 * LATE_EVERY, deadline_s=wait_s / 10)
    assert just_late.count("tried") == 1
    assert set(far_beyond) == {"late"}
    assert "tried" in verdicts(worth, 200 * LATE_EVERY, deadline_s=wait_s / 10)


def test_what_would_not_pay_and_be_late_is_hardly_explored() -> None:
    worth = Worth(RULES)
    worth.embedded(tokens=20, took_s=0.010)
    found = []
    for _ in range(1_000):
        found.append(weigh(worth, deadline_s=0.001).verdict)
        if found[-1] == "explored":
            worth.explored("shop", FREE, 8)
    assert found.count("explored") < 5
    assert set(found) == {"explored", "late"}


@given(st.lists(st.tuples(st.integers(0, 4_096), st.floats(0, 10)), max_size=30), st.integers(0, 4_096))
def test_more_tokens_never_wait_less(seen: list[tuple[int, float]], tokens: int) -> None:
    worth = Worth(RULES)
    for embedded, took_s in seen:
        worth.embedded(embedded, took_s)
    assert 0 < worth.wait_s(tokens) <= worth.wait_s(tokens + 1)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.00001, 0.01), st.integers(40, 280), st.integers(1, 9))
def test_exploring_unique_questions_never_takes_more_than_one_answer_and_its_share(
    answer_usd: float, chars: int, seed: int
) -> None:
    traffic, requests = Traffic(answer_usd, chars, seed), 3_000
    for _ in range(requests):
        traffic.ask()
    most_usd = answer_usd + 1.0 * RULES.value_of_second_usd  # the first answers are believed to take a second
    earned_s = RULES.explore_share * (REQUEST_S + most_usd * ANSWER_SHARE / SECOND_USD)
    assert traffic.looked_s <= most_usd / SECOND_USD + requests * earned_s + 1e-9


def test_unique_questions_with_cheap_answers_soon_take_less_than_a_fortieth_of_a_requests_cpu() -> None:
    traffic, requests = Traffic(CHEAP_USD, 208), 30_000
    for _ in range(2_000):
        traffic.ask()
    traffic.looked_s = 0.0
    for _ in range(requests):
        traffic.ask()
    assert 0 < traffic.looked_s / requests < 2 * REQUEST_S / 40


def test_dear_answers_are_explored_more_than_cheap_ones_and_short_questions_more_than_long_ones() -> None:
    def explored(answer_usd: float, chars: int) -> int:
        traffic = Traffic(answer_usd, chars)
        return [traffic.ask() for _ in range(5_000)].count("explored")

    assert explored(DEAR_USD, 208) > 10 * explored(CHEAP_USD, 208)
    assert explored(CHEAP_USD, 80) > 1.5 * explored(CHEAP_USD, 208)


@pytest.mark.parametrize(("answer_usd", "within"), [(CHEAP_USD, 500), (DEAR_USD, 100)])
def test_a_new_service_that_repeats_itself_is_on_at_once(answer_usd: float, within: int) -> None:
    traffic = Traffic(answer_usd, 100)
    assert "pays" in [traffic.ask(repeating=0.2) for _ in range(within)]


@pytest.mark.parametrize(("answer_usd", "within"), [(CHEAP_USD, 30_000), (DEAR_USD, 1_000)])
def test_a_service_that_begins_to_repeat_itself_is_found_out(answer_usd: float, within: int) -> None:
    traffic = Traffic(answer_usd, 100)
    assert "pays" not in [traffic.ask() for _ in range(5_000)]
    assert "pays" in [traffic.ask(repeating=0.2) for _ in range(within)]


def test_questions_that_ask_the_same_are_explored_together_or_they_would_never_meet() -> None:
    traffic = Traffic(CHEAP_USD, 100)
    for _ in range(2_000):
        traffic.ask()
    together = 0
    for number in range(5_000):
        place = f"{number:b}".replace("0", "la").replace("1", "mu")
        one = weigh(traffic.worth, traffic.model, text=f"Name the capital city of {place}.").verdict
        two = weigh(traffic.worth, traffic.model, text=f"The capital city of {place}, please?").verdict
        together += one == two == "explored"
        if "explored" in (one, two):
            traffic.worth.explored("shop", traffic.model, 9)
    assert together > 0


def test_a_service_with_one_subject_is_explored_now_and_then_and_not_always_or_never() -> None:
    traffic = Traffic(CHEAP_USD, 100)
    for _ in range(2_000):
        traffic.ask()
    found = []
    for _ in range(20_000):
        found.append(weigh(traffic.worth, traffic.model).verdict)
        if found[-1] == "explored":
            traffic.worth.explored("shop", traffic.model, 8)
    assert 0.0005 < found.count("explored") / len(found) < 0.02


def test_what_would_not_pay_if_every_look_up_hit_is_not_explored() -> None:
    worth = Worth(WorthRules(value_of_second_usd=0.0, explore_share=1.0))
    assert set(verdicts(worth, 1_000)) == {"unpaid"}


def test_where_neither_seconds_nor_cores_cost_anything_every_look_up_pays() -> None:
    assert weigh(Worth(WorthRules(value_of_second_usd=0.0, cpu_second_usd=0.0))).verdict == "pays"


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_false_hits_never_make_a_look_up_worth_more(looks: list[bool], one: float, two: float) -> None:
    worth = Worth(RULES)
    for hit in looks:
        worth.looked("shop", hit=hit)
    few, many = sorted((one, two))
    assert weigh(worth, PAID, false_rate=many).worth_usd <= weigh(worth, PAID, false_rate=few).worth_usd


@given(st.lists(st.booleans(), max_size=60))
def test_the_same_history_gives_the_same_decision(history: list[bool]) -> None:
    one, two = Worth(RULES), Worth(RULES)
    for worth in (one, two):
        for hit in history:
            worth.looked("shop", hit=hit)
    assert [weigh(one) for _ in range(5)] == [weigh(two) for _ in range(5)]


def test_what_was_learned_is_weighed_by_other_rules_and_goes_on_being_learned() -> None:
    worth = Worth(RULES)
    looked(worth, hits=1)
    dearer = worth.under(WorthRules(value_of_second_usd=1.0))
    assert weigh(dearer).worth_usd > weigh(worth).worth_usd
    before = weigh(worth).worth_usd
    looked(dearer, hits=0, misses=1_000)
    assert weigh(worth).worth_usd < before

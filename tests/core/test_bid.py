from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bid import LEAST_OUTPUT_TOKENS, bid
from gateway.core.estimate import DEFAULT_OUTPUT_TOKENS, prompt_bound
from gateway.core.plan import Model
from gateway.core.pricing import LongContext, Peak, Price, Rates, to_nano
from gateway.core.profile import Profile
from gateway.core.tiers import Tier
from gateway.core.usage import Usage
from tests.core.asking import asked

PRICE = Price(
    Rates(Decimal(3), Decimal(15), cache_write_usd=Decimal("3.75")),
    long_contexts=(LongContext(1_000, Rates(Decimal(6), Decimal("22.5"))),),
    peaks=(Peak(0, 60, Rates(Decimal(1), Decimal(20))),),
)
NOON_S = 1_795_000_000.0


def model(**profile: int) -> Model:
    return Model("m", "p", "m", Tier.LIGHT, PRICE, Profile(**profile))  # type: ignore[arg-type]  # limits only


def test_the_clients_limit_is_bid_as_it_is() -> None:
    offer = bid(asked(max_tokens=300), model(), NOON_S)
    assert (offer.least_output_tokens, offer.most_output_tokens) == (300, 300)


def test_without_a_limit_the_models_is_the_most_and_little_is_enough() -> None:
    offer = bid(asked(), model(max_output_tokens=128_000), NOON_S)
    assert (offer.least_output_tokens, offer.most_output_tokens) == (LEAST_OUTPUT_TOKENS, 128_000)


def test_a_model_that_says_less_than_the_least_is_asked_for_what_it_can() -> None:
    offer = bid(asked(), model(max_output_tokens=100), NOON_S)
    assert (offer.least_output_tokens, offer.most_output_tokens) == (100, 100)


@pytest.mark.parametrize(("limit", "least", "most"), [(300, 900, 900), (None, 3 * LEAST_OUTPUT_TOKENS, None)])
def test_output_is_that_of_all_choices_together(limit: int | None, least: int, most: int | None) -> None:
    offer = bid(asked(max_tokens=limit, n=3), model(), NOON_S)
    assert (offer.least_output_tokens, offer.most_output_tokens) == (least, most or 3 * DEFAULT_OUTPUT_TOKENS)


def test_an_output_token_is_bid_at_its_dearest_hour_and_length() -> None:
    assert bid(asked("Hi"), model(), NOON_S).output_nano_usd == 20_000
    assert bid(asked("x" * 1_000), model(), NOON_S).output_nano_usd == 22_500


def test_a_part_of_a_nano_dollar_is_bid_as_a_whole_one() -> None:
    cheap = Model("m", "p", "m", Tier.LIGHT, Price(Rates(Decimal("0.0001"), Decimal("0.0001"))))
    offer = bid(asked(), cheap, NOON_S)
    assert offer.output_nano_usd == 1
    assert offer.prompt.nano_usd == -(-prompt_bound(asked(), cheap.profile) // 10)


@given(
    said=st.text(max_size=1_200),
    output=st.integers(0, 5_000),
    written=st.floats(0, 1),
    at_s=st.floats(NOON_S, NOON_S + 7 * 86_400),
)
def test_no_answer_within_the_bid_costs_more_than_it(said: str, output: int, written: float, at_s: float) -> None:
    offer = bid(asked(said), model(), at_s)
    tokens = offer.prompt.tokens
    usage = Usage(tokens, output, cache_write_tokens=int(tokens * written))
    assert to_nano(PRICE.cost(usage, at_s)) <= offer.amount(output).nano_usd
    assert usage.total_tokens <= offer.amount(output).tokens

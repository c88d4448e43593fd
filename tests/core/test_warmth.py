from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.plan import Model
from gateway.core.pricing import Price, Rates
from gateway.core.profile import Profile
from gateway.core.tiers import Tier
from gateway.core.usage import Usage
from gateway.core.warmth import Warm, WarmPrefixes, cached_tokens, remaining_usd, stay_or_leave, switch_usd

LIKELY = Usage(10_000, 500)


def model(name: str, usd: str, read: str | None = None, write: str | None = None) -> Model:
    rates = Rates(Decimal(usd), Decimal(usd), *(None if rate is None else Decimal(rate) for rate in (read, write)))
    return Model(name, "p", name, Tier.LIGHT, Price(rates))


DEAR = model("dear", "3", read="0.3")
CHEAP = model("cheap", "1", read="0.1")
WRITES = model("writes", "1", read="0.1", write="1.25")


def mtok(usd: str) -> Decimal:
    return Decimal(usd) / 1_000_000


def test_cached_tokens_are_read_at_their_own_rate() -> None:
    assert remaining_usd(DEAR, Warm("dear", 8_000), LIKELY, 0.0) == mtok("3") * 2_500 + mtok("0.3") * 8_000


def test_a_move_reads_the_prefix_at_full_price_once() -> None:
    assert switch_usd(CHEAP, Warm("dear", 8_000), LIKELY, 0.0) == mtok("0.9") * 8_000


def test_a_move_also_writes_where_writing_has_a_price() -> None:
    assert switch_usd(WRITES, Warm("dear", 8_000), LIKELY, 0.0) == mtok("1.15") * 8_000


def test_a_move_to_a_model_without_a_cache_price_loses_nothing_there() -> None:
    assert switch_usd(model("flat", "1"), Warm("dear", 8_000), LIKELY, 0.0) == 0


@given(st.integers(0, 20_000), st.integers(1, 30))
def test_no_more_is_cached_than_there_is(tokens: int, turns: int) -> None:
    assert remaining_usd(DEAR, Warm("dear", tokens, turns), LIKELY, 0.0) >= mtok("0.3") * 10_000


def test_a_short_conversation_stays_where_it_is_warm() -> None:
    ordered, why = stay_or_leave((CHEAP, DEAR), True, Warm("dear", 9_500, turns=1), LIKELY, 0.0)
    assert ordered == (DEAR, CHEAP)
    assert why == (
        "stays with dear and 9,500 cached tokens: cheap costs $0.004650 more over this turn, $0.008550 of it the switch"
    )


def test_a_long_one_leaves_once_the_rest_pays_for_the_switch() -> None:
    ordered, why = stay_or_leave((CHEAP, DEAR), True, Warm("dear", 9_500, turns=4), LIKELY, 0.0)
    assert ordered == (CHEAP, DEAR)
    assert why == (
        "leaves dear and 9,500 cached tokens: cheap costs $0.007050 less over 4 turns, with $0.008550 for the switch"
    )


def test_need_goes_before_price() -> None:
    ordered, why = stay_or_leave((CHEAP, DEAR), False, Warm("dear", 9_500), LIKELY, 0.0)
    assert ordered == (CHEAP, DEAR)
    assert why == "leaves dear and 9,500 cached tokens: a switch of $0.008550"


def test_a_model_that_cannot_take_the_request_is_left_whatever_it_holds() -> None:
    assert stay_or_leave((CHEAP,), True, Warm("gone", 9_500), LIKELY, 0.0)[0] == (CHEAP,)


def test_where_the_first_choice_is_warm_nothing_moves() -> None:
    assert stay_or_leave((CHEAP, DEAR), True, Warm("cheap", 9_500), LIKELY, 0.0) == (
        (CHEAP, DEAR),
        "9,500 cached tokens at cheap",
    )


@pytest.mark.parametrize(("turns", "left"), [(0, 1), (1, 1), (7, 7), (99, 10)])
def test_a_conversation_is_expected_to_go_on_as_long_as_it_has(turns: int, left: int) -> None:
    assert Warm("m", 1, turns).turns_left == left


@given(
    st.sampled_from([DEAR, CHEAP, WRITES]),
    st.sampled_from([DEAR, CHEAP, WRITES]),
    st.integers(0, 10_000),
    st.integers(1, 12),
)
def test_the_cheaper_rest_always_wins(one: Model, two: Model, tokens: int, turns: int) -> None:
    if one is two:
        return
    warm = Warm(two.name, tokens, turns)
    chosen = stay_or_leave((one, two), True, warm, LIKELY, 0.0)[0][0]
    assert remaining_usd(chosen, warm, LIKELY, 0.0) == min(
        remaining_usd(each, warm, LIKELY, 0.0) for each in (one, two)
    )


# what is cached, and where


def served(caches: str | None, usage: Usage, least: int | None = None) -> int:
    profile = Profile(prompt_cache=caches, min_cache_tokens=least)  # type: ignore[arg-type]  # the test names them all
    return cached_tokens(replace(CHEAP, profile=profile), usage)


@pytest.mark.parametrize("caches", [None, "breakpoints", "cache_control"])
def test_a_provider_that_says_what_it_wrote_is_believed(caches: str | None) -> None:
    assert served(caches, Usage(9_000, 10, cache_read_tokens=2_000, cache_write_tokens=5_000)) == 7_000
    assert served(caches, Usage(9_000, 10)) == 0


def test_one_that_caches_unasked_has_the_whole_prompt() -> None:
    assert served("automatic", Usage(9_000, 10)) == 9_000


def test_a_prompt_below_the_least_length_is_not_cached() -> None:
    assert served("automatic", Usage(1_023, 10)) == 0
    assert served("automatic", Usage(1_023, 10), least=512) == 1_023


def test_a_prefix_is_known_until_it_is_cold() -> None:
    prefixes = WarmPrefixes()
    prefixes.keep(b"k", Warm("dear", 9), until_s=10.0)
    assert prefixes.find(b"k", 9.9) == Warm("dear", 9)
    assert prefixes.find(b"k", 10.0) is None
    assert prefixes.find(None, 0.0) is None


def test_the_conversation_that_was_silent_longest_is_forgotten_first() -> None:
    prefixes = WarmPrefixes(most=2)
    for key in (b"a", b"b", b"a", b"c"):
        prefixes.keep(key, Warm("dear", 9), until_s=1.0)
    assert [prefixes.find(key, 0.0) is not None for key in (b"a", b"b", b"c")] == [True, False, True]

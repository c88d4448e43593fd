from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pricing import (
    EVERY_DAY,
    FREE,
    LIFETIME_S,
    WEEKDAYS,
    Change,
    LongContext,
    Peak,
    Price,
    Rates,
    from_nano,
    to_nano,
)
from gateway.core.usage import Usage


def rates(*usd: str) -> Rates:
    """Input, output, cache read, cache write, the same for an hour, audio in, audio out: dollars per million tokens."""
    return Rates(*map(Decimal, usd))


# List prices of 2026-11-23, from the price maps of genai-prices 0.2.3 and litellm 1.109.1, which agree.
TERRA = Price(rates("1", "5", "0.05", "1.25"), (LongContext(272_000, rates("2", "7.5", "0.1", "2.5")),))
HAIKU = Price(rates("0.1", "0.5", "0.01", "0.125"), (LongContext(100_000, rates("0.5", "2.5", "0.05", "0.625")),))
_DOUBLE = rates("0.3", "1.2", "0.006")
DEEPSEEK = Price(rates("0.15", "0.6", "0.003"), peaks=(Peak(60, 240, _DOUBLE), Peak(360, 600, _DOUBLE)))

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
COUNTS = st.integers(0, 2_000_000)
DOLLARS = st.decimals(0, 1_000, places=6)
MOMENTS = st.floats(0, datetime(2200, 1, 1, tzinfo=UTC).timestamp())


def used(counts: tuple[int, ...]) -> Usage:
    """From counts that do not overlap: text, audio, read, written, written for an hour, text out, audio out."""
    text, audio, read, written, hour, said, spoken = counts
    return Usage(
        text + audio + read + written + hour,
        said + spoken,
        read,
        written + hour,
        cache_write_1h_tokens=hour,
        audio_input_tokens=audio,
        audio_output_tokens=spoken,
    )


KINDS = st.tuples(*[COUNTS] * 7)
USAGES = KINDS.map(used)
OPTIONAL = st.none() | DOLLARS
RATES = st.builds(Rates, DOLLARS, DOLLARS, OPTIONAL, OPTIONAL, OPTIONAL, OPTIONAL, OPTIONAL)
STEPS = st.lists(st.builds(LongContext, st.integers(0, 3_000_000), RATES), max_size=2).map(tuple)
MINUTES = st.integers(0, 1_440)
DAYS = st.sampled_from([WEEKDAYS, EVERY_DAY, EVERY_DAY - WEEKDAYS, frozenset({3})])
PEAKS = st.lists(st.builds(Peak, MINUTES, MINUTES, RATES, DAYS), max_size=2).map(tuple)
UNDATED = st.builds(Price, RATES, STEPS, PEAKS, st.none() | st.builds(Price, RATES, STEPS))


@st.composite
def prices(draw: st.DrawFn) -> Price:
    dated = draw(st.dictionaries(MOMENTS, UNDATED, max_size=2))
    return replace(draw(UNDATED), changes=tuple(Change(when, dated[when]) for when in sorted(dated)))


@st.composite
def only_dearer_when_longer(draw: st.DrawFn) -> Price:
    """Every step is at least as dear as the one before it, in every kind of token."""
    usd = st.lists(DOLLARS, min_size=7, max_size=7)
    base, more, most = draw(usd), draw(usd), draw(usd)
    once = [one + other for one, other in zip(base, more, strict=True)]
    twice = [one + other for one, other in zip(once, most, strict=True)]
    edges = sorted(draw(st.tuples(COUNTS, COUNTS)))
    return Price(Rates(*base), (LongContext(edges[0], Rates(*once)), LongContext(edges[1], Rates(*twice))))


def at(day: int, hour: int, minute: int = 0) -> float:
    """Unix seconds of a day in November 2026; the 23rd is a Monday."""
    return MONDAY.replace(day=day, hour=hour, minute=minute).timestamp()


@pytest.mark.parametrize(
    ("price", "usage", "when", "nano_usd"),
    [
        # 1000 x 1 + 500 x 5 = 3500 dollars a million
        (TERRA, Usage(1_000, 500), at(23, 12), 3_500_000),
        # 300 x 1 + 600 x 0.05 + 100 x 1.25 + 7 x 5 = 490
        (TERRA, Usage(1_000, 7, 600, 100), at(23, 12), 490_000),
        (TERRA, Usage(1), at(23, 12), 1_000),
        # 272001 x 2 + 10 x 7.5 = 544077
        (TERRA, Usage(272_001, 10), at(23, 12), 544_077_000),
        # 100000 x 0.1 + 1000 x 0.5 = 10500; one token more and the whole call is five times as dear
        (HAIKU, Usage(100_000, 1_000), at(23, 12), 10_500_000),
        (HAIKU, Usage(100_001, 1_000), at(23, 12), 52_500_500),
        # the step counts cached input too: 1 x 0.5 + 100000 x 0.05 = 5000.5
        (HAIKU, Usage(100_001, 0, 100_000), at(23, 12), 5_000_500),
        # 80000 x 0.01 + 20000 x 0.125 = 3300
        (HAIKU, Usage(100_000, 0, 80_000, 20_000), at(23, 12), 3_300_000),
        # Monday 02:00: 1000 x 0.3 + 500 x 1.2 = 900
        (DEEPSEEK, Usage(1_000, 500), at(23, 2), 900_000),
        # Saturday 02:00: 1000 x 0.15 + 500 x 0.6 = 450
        (DEEPSEEK, Usage(1_000, 500), at(28, 2), 450_000),
        # 1 x 0.15 + 999 x 0.003 = 3.147
        (DEEPSEEK, Usage(1_000, 0, 999), at(28, 2), 3_147),
        # no write rate of its own: writes cost what input costs
        (DEEPSEEK, Usage(1_000, 0, 0, 1_000), at(28, 2), 150_000),
        (FREE, Usage(1_000_000, 1_000_000), at(23, 2), 0),
    ],
)
def test_costs_worked_out_by_hand(price: Price, usage: Usage, when: float, nano_usd: int) -> None:
    assert to_nano(price.cost(usage, when)) == nano_usd


@pytest.mark.parametrize(
    ("hour", "minute", "peak"),
    [
        (0, 59, False),
        (1, 0, True),
        (3, 59, True),
        (4, 0, False),
        (5, 59, False),
        (6, 0, True),
        (9, 59, True),
        (10, 0, False),
    ],
)
def test_a_peak_holds_from_its_first_minute_to_before_its_last(hour: int, minute: int, peak: bool) -> None:
    assert DEEPSEEK.cost(Usage(1), at(23, hour, minute)) * 1_000_000 == Decimal("0.3" if peak else "0.15")


@pytest.mark.parametrize(("day", "peak"), [(23, True), (27, True), (28, False), (29, False), (30, True)])
def test_a_peak_holds_on_its_weekdays(day: int, peak: bool) -> None:
    assert sorted(WEEKDAYS) == [0, 1, 2, 3, 4]
    assert DEEPSEEK.cost(Usage(1), at(day, 2)) * 1_000_000 == Decimal("0.3" if peak else "0.15")


def test_the_highest_step_that_is_reached_holds() -> None:
    steps = (LongContext(20, rates("3")), LongContext(10, rates("2")))
    price = Price(rates("1"), steps)
    per_token = [price.cost(Usage(tokens), 0) * 1_000_000 / tokens for tokens in (10, 11, 20, 21)]
    assert per_token == [1, 2, 2, 3]


@given(prices(), USAGES, MOMENTS, st.booleans())
def test_a_cost_is_never_negative(price: Price, usage: Usage, when: float, batch: bool) -> None:
    assert price.cost(usage, when, batch=batch) >= 0


@given(prices(), USAGES, MOMENTS, st.floats(0, LIFETIME_S), COUNTS, COUNTS)
def test_no_answer_within_the_bound_costs_more_whenever_it_is_billed(
    price: Price, usage: Usage, when: float, later_s: float, more_input: int, more_output: int
) -> None:
    """However its input turns out to be cached, however much shorter it is than was feared, at any hour."""
    feared = Usage(usage.input_tokens + more_input, usage.output_tokens + more_output)
    for billed_s in (when, when + later_s):
        assert price.cost(usage, billed_s) <= price.bound(feared, when)
        assert price.cost(usage, billed_s) <= price.bound(usage, when)


@given(only_dearer_when_longer(), KINDS, st.integers(0, 6), st.integers(1, 1_000_000))
def test_one_token_more_of_any_kind_never_costs_less(
    price: Price, counts: tuple[int, ...], kind: int, more: int
) -> None:
    grown = (*counts[:kind], counts[kind] + more, *counts[kind + 1 :])
    assert price.cost(used(counts), 0) <= price.cost(used(grown), 0)


@given(RATES, USAGES, USAGES)
def test_with_the_same_rates_two_answers_cost_their_sum(one: Rates, this: Usage, that: Usage) -> None:
    assert one.cost(this) + one.cost(that) == one.cost(this + that)


@given(prices(), USAGES, USAGES, MOMENTS)
def test_costs_add_up_as_long_as_no_step_lies_between(price: Price, this: Usage, that: Usage, when: float) -> None:
    level = replace(price.in_force(when), long_contexts=())
    assert level.cost(this, when) + level.cost(that, when) == level.cost(this + that, when)


def test_over_a_step_one_long_call_costs_more_than_two_halves() -> None:
    """100,000 tokens twice are 2 x $0.01; 200,000 at once are five times as dear a token: $0.10."""
    half = Usage(100_000)
    assert 2 * to_nano(HAIKU.cost(half, 0)) == 20_000_000
    assert to_nano(HAIKU.cost(half + half, 0)) == 100_000_000


@given(UNDATED, USAGES, MOMENTS)
def test_a_price_without_batch_rates_costs_a_batch_what_it_costs_anybody(
    price: Price, usage: Usage, when: float
) -> None:
    plain = replace(price, batch=None)
    assert plain.cost(usage, when, batch=True) == plain.cost(usage, when)


def test_a_batch_is_priced_by_its_own_rates_and_its_own_steps() -> None:
    price = replace(HAIKU, batch=Price(rates("0.05", "0.25"), (LongContext(100_000, rates("0.25", "1.25")),)))
    assert to_nano(price.cost(Usage(100_000), 0, batch=True)) == 5_000_000
    assert to_nano(price.cost(Usage(100_001), 0, batch=True)) == 25_000_250


DEARER_ON_TUESDAY = Price(rates("1"), changes=(Change(at(24, 0), Price(rates("3"))), Change(at(26, 0), HAIKU)))


@pytest.mark.parametrize(
    ("when", "per_token"),
    [
        (0.0, "1"),
        (at(24, 0) - 0.001, "1"),
        (at(24, 0), "3"),
        (at(26, 0) - 0.001, "3"),
        (at(26, 0), "0.1"),
        (at(30, 0), "0.1"),
    ],
)
def test_a_change_holds_from_its_moment_until_the_next(when: float, per_token: str) -> None:
    assert DEARER_ON_TUESDAY.cost(Usage(1), when) * 1_000_000 == Decimal(per_token)


def test_a_rise_is_reserved_for_within_a_requests_lifetime_before_it_and_a_fall_is_forgotten() -> None:
    def reserved(when: float) -> Decimal:
        return DEARER_ON_TUESDAY.bound(Usage(1), when) * 1_000_000

    assert reserved(at(24, 0) - LIFETIME_S - 1) == 1
    assert reserved(at(24, 0) - LIFETIME_S) == 3
    assert reserved(at(26, 1)) == Decimal("0.125")


def test_a_bound_fears_an_hours_write_and_audio_too() -> None:
    opus = Price(rates("4", "20", "0.2", "5", "8"))
    spoken = Price(rates("2.5", "10", "2.5", "2.5", "2.5", "32", "64"))
    assert opus.dearest(1, 0) == rates("8", "20")
    assert spoken.dearest(1, 0) == rates("32", "64")


def test_an_hour_of_hardware_is_shared_by_the_tokens_it_makes() -> None:
    """$2 an hour: 50 x 3600 = 180,000 tokens, so $11.1 a million; 1,500 x 3600 = 5.4 million, so $0.37."""
    slow, fast = (Rates.of_gpu_hour(Decimal(2), Decimal(2_000), Decimal(tokens_per_s)) for tokens_per_s in (50, 1_500))
    assert round(slow.output_usd, 6) == Decimal("11.111111")
    assert round(fast.output_usd, 6) == Decimal("0.370370")
    assert round(slow.input_usd, 6) == Decimal("0.277778")
    assert slow.cost(Usage(1_000, cache_read_tokens=1_000)) == 0


def test_a_peak_may_hold_every_day() -> None:
    always = Price(rates("1"), peaks=(Peak(0, 1_440, rates("2"), EVERY_DAY),))
    assert [always.cost(Usage(1), at(day, 5)) * 1_000_000 for day in (27, 28, 29)] == [2, 2, 2]


@given(st.integers(0, 2**53))
def test_stored_money_comes_back_exactly(nano_usd: int) -> None:
    assert to_nano(from_nano(nano_usd)) == nano_usd


def test_money_is_rounded_half_to_even() -> None:
    halves = [Decimal(half) / 10 / 1_000_000_000 for half in (5, 15, 25, 35)]
    assert [to_nano(usd) for usd in halves] == [0, 2, 2, 4]


ANY_RATES = st.builds(
    Rates, *[st.decimals(0, 1_000, places=12)] * 2, *[st.none() | st.decimals(0, 1_000, places=3)] * 5
)
"""Also finer than a femto-dollar a token, as those of hardware by the hour are."""


@given(RATES | ANY_RATES, USAGES)
def test_what_is_charged_is_the_cost_rounded_once(rates: Rates, usage: Usage) -> None:
    assert rates.charge(usage) == to_nano(rates.cost(usage))


@given(st.integers(0, 10), st.integers(0, 1))
def test_half_a_nano_dollar_is_charged_to_even_as_it_is_stored(output_tokens: int, coarse: int) -> None:
    rate, usage = Rates(output_usd=Decimal("0.0005") + coarse * Decimal("1e-12")), Usage(0, output_tokens)
    assert rate.charge(usage) == to_nano(rate.cost(usage))


@given(RATES | ANY_RATES, COUNTS, COUNTS)
def test_a_bound_is_rounded_up(rates: Rates, input_tokens: int, output_tokens: int) -> None:
    cost = from_nano(rates.bound(input_tokens, output_tokens)) - rates.cost(Usage(input_tokens, output_tokens))
    assert 0 <= cost < from_nano(1)


@given(UNDATED, USAGES, MOMENTS)
def test_rounding_moves_a_cost_by_half_a_nano_dollar_at_most(price: Price, usage: Usage, when: float) -> None:
    assert abs(from_nano(price.charge(usage, when)) - price.cost(usage, when)) <= Decimal("0.5e-9")


@given(st.integers(0, 2_000_000), st.integers(0, 100_000), st.floats(0, 4e9))
def test_about_what_it_costs_is_what_it_costs(input_tokens: int, output_tokens: int, unix_s: float) -> None:
    rates = Rates(Decimal("0.07"), Decimal("1.1"))
    double = Rates(Decimal("0.14"), Decimal("2.2"))
    price = Price(
        rates, (LongContext(100_000, double),), (Peak(60, 240, double),), changes=(Change(1e9, Price(double)),)
    )
    about = price.about_usd(input_tokens, output_tokens, unix_s)
    assert about == pytest.approx(float(price.cost(Usage(input_tokens, output_tokens), unix_s)))

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pricing import FREE, WEEKDAYS, LongContext, Peak, Price, Rates, from_nano, to_nano
from gateway.core.usage import Usage


def rates(*usd: str) -> Rates:
    """Input, output, cache read, cache write: dollars per million tokens."""
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


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    uncached, read, write, output = (draw(COUNTS) for _ in range(4))
    return Usage(uncached + read + write, output, read, write)


@st.composite
def all_rates(draw: st.DrawFn) -> Rates:
    return Rates(draw(DOLLARS), draw(DOLLARS), draw(st.none() | DOLLARS), draw(st.none() | DOLLARS))


@st.composite
def prices(draw: st.DrawFn) -> Price:
    steps = st.builds(LongContext, st.integers(0, 3_000_000), all_rates())
    minutes = st.integers(0, 1_440)
    peaks = st.builds(Peak, minutes, minutes, all_rates(), st.frozensets(st.integers(0, 6)))
    return Price(draw(all_rates()), tuple(draw(st.lists(steps, max_size=3))), tuple(draw(st.lists(peaks, max_size=3))))


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


@given(prices(), usages(), MOMENTS)
def test_a_cost_is_never_negative(price: Price, usage: Usage, when: float) -> None:
    assert price.cost(usage, when) >= 0


@given(prices(), usages(), MOMENTS, COUNTS, COUNTS)
def test_no_answer_within_the_bound_costs_more_at_any_hour(
    price: Price, usage: Usage, when: float, more_input: int, more_output: int
) -> None:
    """However its input turns out to be cached, and however much shorter it is than was feared."""
    feared = Usage(usage.input_tokens + more_input, usage.output_tokens + more_output)
    assert price.cost(usage, when) <= price.bound(feared)
    assert price.cost(usage, when) <= price.bound(usage)


@given(st.integers(0, 2**53))
def test_stored_money_comes_back_exactly(nano_usd: int) -> None:
    assert to_nano(from_nano(nano_usd)) == nano_usd


def test_money_is_rounded_half_to_even() -> None:
    halves = [Decimal(half) / 10 / 1_000_000_000 for half in (5, 15, 25, 35)]
    assert [to_nano(usd) for usd in halves] == [0, 2, 2, 4]


@given(prices(), usages(), MOMENTS)
def test_rounding_moves_a_cost_by_half_a_nano_dollar_at_most(price: Price, usage: Usage, when: float) -> None:
    cost_usd = price.cost(usage, when)
    assert abs(from_nano(to_nano(cost_usd)) - cost_usd) <= Decimal("0.5e-9")

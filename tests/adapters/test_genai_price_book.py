from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import __version__, calc_price
from genai_prices.data_snapshot import get_snapshot

from gateway.adapters.genai_price_book import price_of
from gateway.core.pricing import WEEKDAYS, LongContext, Peak, Price, Rates, to_nano
from gateway.core.usage import Usage

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 28, tzinfo=UTC)
USAGES = [
    Usage(1_000, 500),
    Usage(1_000, 500, 600),
    Usage(1_000, 0, 200, 300),
    Usage(1_000, 10, 100, 300, cache_write_1h_tokens=200),
    Usage(300_001, 10, 100_000),
    Usage(300_001, 10, 0, 70_000, cache_write_1h_tokens=50_000),
]
SPOKEN = Usage(1_000, 500, audio_input_tokens=400, audio_output_tokens=300)


def rates(*usd: str) -> Rates:
    return Rates(*map(Decimal, usd))


def today(provider: str, model: str) -> Price:
    """What holds on the Monday of these tests."""
    price = price_of(provider, model)
    assert price is not None
    return price.in_force(MONDAY.timestamp())


def known(provider: str) -> list[str]:
    """Models of a provider that we can price."""
    (found,) = (entry for entry in get_snapshot().providers if entry.id == provider)
    return [model.id for model in found.models if price_of(provider, model.id) is not None]


def test_a_price_with_a_long_context_step_for_everybody_and_for_batches() -> None:
    assert today("anthropic", "claude-haiku-5-5") == Price(
        rates("0.1", "0.5", "0.01", "0.125", "0.2"),
        (LongContext(100_000, rates("0.5", "2.5", "0.05", "0.625", "1")),),
        batch=Price(
            rates("0.05", "0.25", "0.005", "0.0625", "0.1"),
            (LongContext(100_000, rates("0.25", "1.25", "0.025", "0.3125", "0.5")),),
        ),
    )


def test_a_price_says_who_quotes_it() -> None:
    assert today("anthropic", "claude-haiku-5-5").source == f"genai-prices {__version__}"


def test_a_price_with_peak_hours_on_weekdays_only() -> None:
    double = rates("0.3", "1.2", "0.006")
    price = today("deepseek", "deepseek-flash")
    assert price.rates == rates("0.15", "0.6", "0.003")
    assert set(price.peaks) == {Peak(60, 240, double, WEEKDAYS), Peak(360, 600, double, WEEKDAYS)}


def test_saturday_night_is_not_priced_at_double() -> None:
    """genai-prices 0.2.3 does; the day this fails for their price, the correction can go."""
    at = SATURDAY.replace(hour=2)
    price = price_of("deepseek", "deepseek-flash")
    assert price is not None
    assert to_nano(price.cost(Usage(1_000, 500), at.timestamp())) == 450_000
    assert to_nano(theirs(Usage(1_000, 500), "deepseek", "deepseek-flash", at)) == 900_000


def test_a_price_that_changed_changes_at_midnight() -> None:
    price = price_of("openai", "o3")
    assert price is not None
    midnight_s = datetime(2025, 6, 10, tzinfo=UTC).timestamp()
    assert [price.in_force(midnight_s - 1).rates.input_usd, price.in_force(midnight_s).rates.input_usd] == [10, 2]


def test_audio_has_rates_of_its_own() -> None:
    assert today("openai", "gpt-audio").cost(SPOKEN, 0) == theirs(SPOKEN, "openai", "gpt-audio", MONDAY)
    # 600 x 2.5 + 400 x 32 + 200 x 10 + 300 x 64 = 35,500 dollars a million
    assert to_nano(today("openai", "gpt-audio").cost(SPOKEN, 0)) == 35_500_000


@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-realtime-2"])
def test_a_model_that_charges_for_what_we_do_not_count_has_no_price(model: str) -> None:
    get_snapshot().find_provider_model(model, None, "openai", None)  # they know it
    assert price_of("openai", model) is None


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "gpt-77"), ("llamacpp", "gpt-6.1-terra"), ("nobody", "x"), ("openai", "")]
)
def test_what_is_not_in_the_book_has_no_price(provider: str, model: str) -> None:
    assert price_of(provider, model) is None


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "deepseek"])
def test_on_weekdays_every_price_is_the_books_own(provider: str, batch: bool) -> None:
    models = known(provider)
    assert len(models) > 3
    for model in models:
        price = price_of(provider, model)
        assert price is not None
        for day in (datetime(2026, 3, 12, tzinfo=UTC), datetime(2026, 8, 17, tzinfo=UTC), MONDAY):
            for hour in (0, 2, 7, 20):
                at = day.replace(hour=hour)
                for usage in USAGES:
                    cost_usd = price.cost(usage, at.timestamp(), batch=batch)
                    assert cost_usd == theirs(usage, provider, model, at, batch=batch), (model, at, usage)


def theirs(usage: Usage, provider: str, model: str, at: datetime, *, batch: bool = False) -> Decimal:
    """The same by genai-prices' own arithmetic."""
    told = TheirUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        input_audio_tokens=usage.audio_input_tokens,
        output_audio_tokens=usage.audio_output_tokens,
    )
    return calc_price(
        told,
        model_ref=model,
        provider_id=provider,
        genai_request_timestamp=at,
        price_context={"processing": "batch"} if batch else None,
    ).total_price

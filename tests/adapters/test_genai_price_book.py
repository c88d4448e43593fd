from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot

from gateway.adapters.genai_price_book import price_of
from gateway.core.pricing import WEEKDAYS, LongContext, Peak, Price, Rates, to_nano
from gateway.core.usage import Usage

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 28, tzinfo=UTC)
USAGES = [Usage(1_000, 500), Usage(1_000, 500, 600), Usage(1_000, 0, 200, 300), Usage(300_001, 10, 100_000)]


def rates(*usd: str) -> Rates:
    return Rates(*map(Decimal, usd))


def known(provider: str) -> list[str]:
    """Models of a provider that are priced by input and output tokens."""
    (found,) = (entry for entry in get_snapshot().providers if entry.id == provider)
    return [model.id for model in found.models if price_of(provider, model.id, MONDAY.date()) is not None]


def test_a_price_with_a_long_context_step() -> None:
    assert price_of("anthropic", "claude-haiku-5-5") == Price(
        rates("0.1", "0.5", "0.01", "0.125"), (LongContext(100_000, rates("0.5", "2.5", "0.05", "0.625")),)
    )


def test_a_price_with_peak_hours_on_weekdays_only() -> None:
    double = rates("0.3", "1.2", "0.006")
    price = price_of("deepseek", "deepseek-flash")
    assert price is not None
    assert price.rates == rates("0.15", "0.6", "0.003")
    assert set(price.peaks) == {Peak(60, 240, double, WEEKDAYS), Peak(360, 600, double, WEEKDAYS)}


def test_saturday_night_is_not_priced_at_double() -> None:
    """genai-prices 0.2.3 does; the day this fails for their price, the correction can go."""
    at = SATURDAY.replace(hour=2)
    price = price_of("deepseek", "deepseek-flash")
    assert price is not None
    assert to_nano(price.cost(Usage(1_000, 500), at.timestamp())) == 450_000
    theirs = calc_price(
        TheirUsage(input_tokens=1_000, output_tokens=500),
        model_ref="deepseek-flash",
        provider_id="deepseek",
        genai_request_timestamp=at,
    )
    assert to_nano(theirs.total_price) == 900_000


def test_a_price_that_changed_is_the_one_of_the_day() -> None:
    old, new = price_of("openai", "o3", date(2025, 6, 9)), price_of("openai", "o3", date(2025, 6, 10))
    assert old is not None
    assert new is not None
    assert (old.rates.input_usd, new.rates.input_usd) == (Decimal(10), Decimal(2))


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "gpt-77"), ("llamacpp", "gpt-6.1-terra"), ("nobody", "x"), ("openai", "")]
)
def test_what_is_not_in_the_book_has_no_price(provider: str, model: str) -> None:
    assert price_of(provider, model) is None


@pytest.mark.parametrize("provider", ["openai", "anthropic", "deepseek"])
def test_on_a_weekday_every_price_is_the_books_own(provider: str) -> None:
    models = known(provider)
    assert len(models) > 3
    for model in models:
        price = price_of(provider, model, MONDAY.date())
        assert price is not None
        for hour in (0, 2, 7, 12, 20):
            at = MONDAY.replace(hour=hour)
            for usage in USAGES:
                theirs = calc_price(
                    TheirUsage(
                        input_tokens=usage.input_tokens,
                        output_tokens=usage.output_tokens,
                        cache_read_tokens=usage.cache_read_tokens,
                        cache_write_tokens=usage.cache_write_tokens,
                    ),
                    model_ref=model,
                    provider_id=provider,
                    genai_request_timestamp=at,
                )
                assert price.cost(usage, at.timestamp()) == theirs.total_price, (model, hour, usage)

"""Prices from genai-prices (2,330 models, data inside the wheel), turned into our own `Price`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from gateway.core.pricing import WEEKDAYS, LongContext, Peak, Price, Rates

_EVERY_DAY = frozenset(range(7))
_WEEKDAYS_ONLY = {"deepseek": WEEKDAYS}
"""Provider → days on which its peak hours hold. genai-prices 0.2.3 has no weekdays in a time-of-day rule, so it
priced DeepSeek's Saturday 02:00 UTC at double (seen 2026-11-23)."""


def price_of(provider: str, model: str, on: date | None = None) -> Price | None:
    """The list price of a provider's model, or None when genai-prices does not know it or cannot price its tokens.

    `provider` is genai-prices' id: openai, anthropic, deepseek. No network: the data is in the wheel. `on` is a day in
    UTC, today by default: prices change, and the last row whose first day has come holds until the next restart.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    prices: Any = info.prices
    if not isinstance(prices, list):
        return _price(prices, ())
    today = datetime.now(UTC).date() if on is None else on
    lasting = [at for at, row in enumerate(prices) if _is_lasting(row.constraint, today)]
    if not lasting:
        return None
    days = _WEEKDAYS_ONLY.get(provider, _EVERY_DAY)
    hours = (row for row in reversed(prices[lasting[-1] + 1 :]) if hasattr(row.constraint, "start_time"))
    return _price(prices[lasting[-1]].prices, tuple(_peak(row, days) for row in hours))


def _is_lasting(constraint: Any, today: date) -> bool:
    """Whether a row holds at every hour of this day. genai-prices lets a later row win, so does this module."""
    return constraint is None or (hasattr(constraint, "start_date") and constraint.start_date <= today)


def _price(prices: Any, peaks: tuple[Peak, ...]) -> Price | None:
    if prices.input_mtok is None:
        return None
    starts = sorted({step.start for kind in _kinds(prices) for step in getattr(kind, "tiers", ())})
    return Price(_rates(prices, 0), tuple(LongContext(start, _rates(prices, start + 1)) for start in starts), peaks)


def _peak(row: Any, days: frozenset[int]) -> Peak:
    return Peak(_minute(row.constraint.start_time), _minute(row.constraint.end_time), _rates(row.prices, 0), days)


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _kinds(prices: Any) -> tuple[Any, ...]:
    return prices.input_mtok, prices.output_mtok, prices.cache_read_mtok, prices.cache_write_mtok


def _rates(prices: Any, input_tokens: int) -> Rates:
    """The rates in force for a call with so many input tokens."""
    input_usd, output_usd, read, write = (_at(kind, input_tokens) for kind in _kinds(prices))
    return Rates(input_usd or Decimal(0), output_usd or Decimal(0), read, write)


def _at(kind: Any, input_tokens: int) -> Decimal | None:
    if kind is None:
        return None
    if not hasattr(kind, "tiers"):
        return Decimal(kind)
    reached = [step for step in kind.tiers if input_tokens > step.start]
    return Decimal(max(reached, key=lambda step: step.start).price if reached else kind.base)

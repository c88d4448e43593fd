"""Prices from genai-prices (2,330 models, data inside the wheel), turned into our own `Price`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from gateway.core.pricing import EVERY_DAY, WEEKDAYS, Change, LongContext, Peak, Price, Rates

Charges = dict[str, Any]
"""What genai-prices charges for: its name of a kind of token → dollars, or dollars by the length of the input."""
Row = tuple[Any, Charges]
"""When (a start date, hours of the day, or always) → charges."""

_WEEKDAYS_ONLY = {"deepseek": WEEKDAYS}
"""Provider → days on which its peak hours hold. genai-prices 0.2.3 has no weekdays in a time-of-day rule, so it
priced DeepSeek's Saturday 02:00 UTC at double (seen 2026-11-23)."""
_KINDS = (
    "input_mtok",
    "output_mtok",
    "cache_read_mtok",
    "cache_write_mtok",
    "cache_write_1h_mtok",
    "input_audio_mtok",
    "output_audio_mtok",
)
"""The kinds of token that `Rates` has, in its order."""
_BATCH = {"processing": "batch"}


def price_of(provider: str, model: str) -> Price | None:
    """The list price of a provider's model, or None when genai-prices does not know it or we cannot count what it
    charges for (pictures by the token).

    `provider` is genai-prices' id: openai, anthropic, deepseek. No network: the data is in the wheel. What has changed,
    and what will, are changes of the price; a day begins at midnight UTC.
    """
    from genai_prices import __version__
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    prices: Any = info.prices
    listed = [(row.constraint, row.prices) for row in prices] if isinstance(prices, list) else [(None, prices)]
    rows = [(when, _charges(charged)) for when, charged in listed]
    batches = [(row.constraint, _charges(row.prices)) for row in info.price_variants or () if row.when == _BATCH]
    if not all(_countable(charges) for _, charges in rows):
        return None
    return _dated(rows, batches, _WEEKDAYS_ONLY.get(provider, EVERY_DAY), f"genai-prices {__version__}")


def _charges(prices: Any) -> Charges:
    return {kind: price for kind, price in vars(prices).items() if price is not None and kind.endswith("_mtok")}


def _countable(charges: Charges) -> bool:
    return "input_mtok" in charges and charges.keys() <= set(_KINDS)


def _dated(rows: list[Row], batches: list[Row], days: frozenset[int], source: str) -> Price | None:
    """The price of the first day there is one, and what it becomes on each day on which anything changes."""
    dates = sorted({when.start_date for when, _ in (*rows, *batches) if hasattr(when, "start_date")})
    of_day = [(day, _on(day, rows, batches, days, source)) for day in (date.min, *dates)]
    known = [(day, price) for day, price in of_day if price is not None]
    if not known:
        return None
    (_, first), *later = known
    return replace(first, changes=tuple(Change(_midnight_s(day), price) for day, price in later))


def _on(day: date, rows: list[Row], batches: list[Row], days: frozenset[int], source: str) -> Price | None:
    """As genai-prices decides: of the rows that hold, the last one counts; of its variants, the first."""
    lasting = [at for at, (when, _) in enumerate(rows) if _lasts(when, day)]
    if not lasting:
        return None
    standard = rows[lasting[-1]][1]
    hours = [(when, charges) for when, charges in reversed(rows[lasting[-1] + 1 :]) if hasattr(when, "start_time")]
    batch = next((charges for when, charges in batches if _lasts(when, day)), None)
    return Price(
        _rates(standard, 0),
        _steps(standard),
        tuple(_peak(when, charges, days) for when, charges in hours),
        _batch_price(standard | batch) if batch else None,
        source=source,
    )


def _lasts(when: Any, day: date) -> bool:
    """Whether a row holds at every hour of this day."""
    return when is None or (hasattr(when, "start_date") and when.start_date <= day)


def _peak(when: Any, charges: Charges, days: frozenset[int]) -> Peak:
    return Peak(_minute(when.start_time), _minute(when.end_time), _rates(charges, 0), days)


def _batch_price(charges: Charges) -> Price:
    return Price(_rates(charges, 0), _steps(charges))


def _steps(charges: Charges) -> tuple[LongContext, ...]:
    starts = sorted({step.start for charge in charges.values() for step in getattr(charge, "tiers", ())})
    return tuple(LongContext(start, _rates(charges, start + 1)) for start in starts)


def _rates(charges: Charges, input_tokens: int) -> Rates:
    """The rates in force for a call with so many input tokens."""
    input_usd, output_usd, *others = (_at(charges.get(kind), input_tokens) for kind in _KINDS)
    return Rates(input_usd or Decimal(0), output_usd or Decimal(0), *others)


def _at(charge: Any, input_tokens: int) -> Decimal | None:
    if charge is None:
        return None
    if not hasattr(charge, "tiers"):
        return Decimal(charge)
    reached = [step for step in charge.tiers if input_tokens > step.start]
    return Decimal(max(reached, key=lambda step: step.start).price if reached else charge.base)


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _midnight_s(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()

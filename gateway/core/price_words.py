"""A price in words, as `thriftgate check` says it: US dollars per million tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from gateway.core.pricing import EVERY_DAY, WEEKDAYS, Peak, Price, Rates

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def price_in_words(price: Price, unix_s: float) -> list[str]:
    """What holds at that moment, and who says so; then, a line each, what differs when, and what is announced."""
    held = price.in_force(unix_s)
    first, *others = _lines(held)
    told = [f"{first} ({held.source})" if held.source else first, *others]
    for change in price.changes:
        if change.from_s > unix_s:
            when = datetime.fromtimestamp(change.from_s, UTC)
            told += [f"from {when:%Y-%m-%d}: {line}" for line in _lines(change.price)]
    return told


def _lines(price: Price) -> Iterator[str]:
    yield "free: declared" if price.free else _rates(price.rates)
    for step in price.long_contexts:
        yield f"over {step.over_tokens:,} tokens: {_rates(step.rates)}"
    for peak in sorted(price.peaks, key=lambda peak: peak.start_minute):
        yield f"{_hours(peak)}: {_rates(peak.rates)}"
    if price.batch is not None:
        yield from (f"in batches: {line}" for line in _lines(price.batch))


def _rates(rates: Rates) -> str:
    kinds = {
        "in": rates.input_usd,
        "out": rates.output_usd,
        "cached": rates.cache_read_usd,
        "written": rates.cache_write_usd,
        "written for an hour": rates.cache_write_1h_usd,
        "heard": rates.audio_input_usd,
        "spoken": rates.audio_output_usd,
    }
    if not any(kinds.values()):
        return "nothing, and not declared free"
    return ", ".join(f"{_usd(usd)} {kind}" for kind, usd in kinds.items() if usd is not None)


def _hours(peak: Peak) -> str:
    start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (peak.start_minute, peak.end_minute))
    return f"{start}-{end} UTC{_days(peak.weekdays)}"


def _days(weekdays: frozenset[int]) -> str:
    if weekdays == EVERY_DAY:
        return ""
    if weekdays == WEEKDAYS:
        return ", Mon to Fri"
    return ", " + " ".join(_DAYS[day] for day in sorted(weekdays))


def _usd(usd: Decimal) -> str:
    """Cents at least, and what there is below them to a millionth."""
    cents, _, rest = f"{usd:.6f}".partition(".")
    return f"${cents}.{rest[:2]}{rest[2:].rstrip('0')}"

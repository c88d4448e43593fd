"""Where a cost is derived: one function, `Decimal` dollars, rounded once where it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from gateway.core.usage import Usage

NANO_PER_USD = 1_000_000_000
WEEKDAYS = frozenset(range(5))
"""Monday to Friday, as `datetime.weekday` counts."""
_PER_MTOK = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens. Cache rates that are None are the input rate."""

    input_usd: Decimal = Decimal(0)
    output_usd: Decimal = Decimal(0)
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None

    def cost(self, usage: Usage) -> Decimal:
        read = self.input_usd if self.cache_read_usd is None else self.cache_read_usd
        write = self.input_usd if self.cache_write_usd is None else self.cache_write_usd
        total = (
            self.input_usd * usage.uncached_tokens
            + read * usage.cache_read_tokens
            + write * usage.cache_write_tokens
            + self.output_usd * usage.output_tokens
        )
        return total / _PER_MTOK

    def most(self, usage: Usage) -> Decimal:
        """The most so many tokens can cost: any input may turn out to be written to a cache, which is often dearer."""
        dearest = max(rate for rate in (self.input_usd, self.cache_read_usd, self.cache_write_usd) if rate is not None)
        return (dearest * usage.input_tokens + self.output_usd * usage.output_tokens) / _PER_MTOK


@dataclass(frozen=True, slots=True)
class LongContext:
    """Rates of the *whole* call once its input is over so many tokens (Claude Haiku 5.5: five times above 100,000)."""

    over_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Peak:
    """Rates between two minutes of the UTC day, on some weekdays (DeepSeek: double at 01-04 and 06-10, Mon-Fri)."""

    start_minute: int
    end_minute: int
    rates: Rates
    weekdays: frozenset[int] = WEEKDAYS

    def covers(self, at: datetime) -> bool:
        return at.weekday() in self.weekdays and self.start_minute <= at.hour * 60 + at.minute < self.end_minute


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs: its base rates, dearer long contexts, dearer hours."""

    rates: Rates = Rates()
    long_contexts: tuple[LongContext, ...] = ()
    peaks: tuple[Peak, ...] = ()

    def cost(self, usage: Usage, unix_s: float) -> Decimal:
        """Exact dollars of one answer asked at `unix_s`; never negative, because counts and rates never are."""
        at = datetime.fromtimestamp(unix_s, UTC)
        peak = next((peak.rates for peak in self.peaks if peak.covers(at)), None)
        if peak is not None:
            return peak.cost(usage)
        return self._rates_for(usage).cost(usage)

    def bound(self, usage: Usage) -> Decimal:
        """The most that `usage`, or any smaller one, can cost at any hour: what a reservation must cover."""
        reached = (step.rates for step in self.long_contexts if usage.input_tokens > step.over_tokens)
        return max(rates.most(usage) for rates in (self.rates, *reached, *(peak.rates for peak in self.peaks)))

    def _rates_for(self, usage: Usage) -> Rates:
        over = [step for step in self.long_contexts if usage.input_tokens > step.over_tokens]
        return max(over, key=lambda step: step.over_tokens).rates if over else self.rates


FREE = Price()


def to_nano(usd: Decimal) -> int:
    """Dollars to integer nano-dollars, half to even: the only rounding of money in the project."""
    return int((usd * NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def from_nano(nano_usd: int) -> Decimal:
    """Integer nano-dollars back to dollars, exactly."""
    return Decimal(nano_usd) / NANO_PER_USD

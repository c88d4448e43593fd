"""Where a cost is derived: one function, `Decimal` dollars, rounded once where it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from gateway.core.usage import Usage

NANO_PER_USD = 1_000_000_000
_PER_MTOK = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens. `cache_read` and `cache_write` default to the input price."""

    input_usd: Decimal = Decimal(0)
    output_usd: Decimal = Decimal(0)
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None

    def cost(self, usage: Usage) -> Decimal:
        """Exact dollars of one answer; never negative because counts and prices never are."""
        read = self.input_usd if self.cache_read_usd is None else self.cache_read_usd
        write = self.input_usd if self.cache_write_usd is None else self.cache_write_usd
        total = (
            self.input_usd * usage.uncached_tokens
            + read * usage.cache_read_tokens
            + write * usage.cache_write_tokens
            + self.output_usd * usage.output_tokens
        )
        return total / _PER_MTOK


FREE = Price()


def to_nano(usd: Decimal) -> int:
    """Dollars to integer nano-dollars, half to even: the only rounding of money in the project."""
    return int((usd * NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def from_nano(nano_usd: int) -> Decimal:
    """Integer nano-dollars back to dollars, exactly."""
    return Decimal(nano_usd) / NANO_PER_USD

"""Where a cost is derived: one function, exact, rounded once where it is stored.

Theory of operation. A `Price` is what holds now, and the `changes` to it that are dated: which of them counts is
decided by the moment at which an answer was asked for, so a row whose date comes takes over by itself. What holds at
one moment is one set of `Rates` for the whole answer: those of batches, else those of the hour, else those of the
length of its input. Rates are never mixed within an answer, because no vendor does.

Rates are `Decimal` dollars. Nearly all are also whole femto-dollars a token (nine decimals of a dollar a million), and
then a request's cost is a sum of integers; a third of a dollar is not, and is computed in decimals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypeVar

from gateway.core.usage import Usage

NANO_PER_USD = 1_000_000_000
WEEKDAYS = frozenset(range(5))
"""Monday to Friday, as `datetime.weekday` counts."""
EVERY_DAY = frozenset(range(7))
LIFETIME_S = 3_600.0
"""Longer than a request lives: `timeouts.total_s` is 600 s, and an attempt may be tried again."""
_PER_MTOK = Decimal(1_000_000)
_NANO_PER_MTOK_USD = NANO_PER_USD // 1_000_000
_S_PER_HOUR = 3_600
_FEMTO_PER_NANO = 1_000_000

Rate = TypeVar("Rate", int, Decimal)
_Kinds = tuple[Rate, Rate, Rate, Rate, Rate, Rate, Rate]
"""Input, output, cache read, cache write, cache write for an hour, audio input, audio output."""


def _total(rates: _Kinds[Rate], usage: Usage) -> Rate:
    """Of all tokens, each at its rate."""
    input_rate, output_rate, read, write, write_1h, audio_input, audio_output = rates
    if not (
        usage.cache_read_tokens or usage.cache_write_tokens or usage.audio_input_tokens or usage.audio_output_tokens
    ):
        return input_rate * usage.input_tokens + output_rate * usage.output_tokens
    return (
        input_rate * (usage.uncached_tokens - usage.audio_input_tokens)
        + audio_input * usage.audio_input_tokens
        + read * usage.cache_read_tokens
        + write * usage.cache_write_short_tokens
        + write_1h * usage.cache_write_1h_tokens
        + output_rate * (usage.output_tokens - usage.audio_output_tokens)
        + audio_output * usage.audio_output_tokens
    )


def _femto_usd(usd_per_mtok: _Kinds[Decimal]) -> _Kinds[int] | None:
    femto = [usd * NANO_PER_USD for usd in usd_per_mtok]
    if any(rate != int(rate) for rate in femto):
        return None
    one, two, three, four, five, six, seven = map(int, femto)
    return one, two, three, four, five, six, seven


def _else(rate: Decimal | None, kind_of: Decimal) -> Decimal:
    return kind_of if rate is None else rate


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens. None is the rate of what it is a kind of: cached input is input, a write for an
    hour is a write, audio is text."""

    input_usd: Decimal = Decimal(0)
    output_usd: Decimal = Decimal(0)
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    cache_write_1h_usd: Decimal | None = None
    audio_input_usd: Decimal | None = None
    audio_output_usd: Decimal | None = None
    _usd: _Kinds[Decimal] = field(init=False, repr=False, compare=False)
    _femto_usd: _Kinds[int] | None = field(init=False, repr=False, compare=False)
    """A token's, None where one of them is no whole number."""

    def __post_init__(self) -> None:
        written = _else(self.cache_write_usd, self.input_usd)
        kinds = (
            self.input_usd,
            self.output_usd,
            _else(self.cache_read_usd, self.input_usd),
            written,
            _else(self.cache_write_1h_usd, written),
            _else(self.audio_input_usd, self.input_usd),
            _else(self.audio_output_usd, self.output_usd),
        )
        object.__setattr__(self, "_usd", kinds)
        object.__setattr__(self, "_femto_usd", _femto_usd(kinds))

    @classmethod
    def of_gpu_hour(cls, gpu_hour_usd: Decimal, prompt_tokens_per_s: Decimal, output_tokens_per_s: Decimal) -> Rates:
        """What a token costs on hardware that is paid by the hour: its share of the hour it keeps the machine busy.

        Both speeds are the machine's, all requests at once together, as measured under your load. At $2 an hour, 50
        output tokens a second make $11.11 a million and 600 make $0.93. Input found in the engine's own prompt cache
        keeps nothing busy.
        """
        hourly_mtok = _S_PER_HOUR / _PER_MTOK
        return cls(
            gpu_hour_usd / (prompt_tokens_per_s * hourly_mtok),
            gpu_hour_usd / (output_tokens_per_s * hourly_mtok),
            cache_read_usd=Decimal(0),
        )

    def cost(self, usage: Usage) -> Decimal:
        return _total(self._usd, usage) / _PER_MTOK

    def charge(self, usage: Usage) -> int:
        """The same in nano-dollars, rounded half to even."""
        if self._femto_usd is None:
            return to_nano(self.cost(usage))
        femto_usd = _total(self._femto_usd, usage)
        nano_usd, rest = femto_usd // _FEMTO_PER_NANO, femto_usd % _FEMTO_PER_NANO
        return nano_usd + (2 * rest + (nano_usd & 1) > _FEMTO_PER_NANO)

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        """Nano-dollars, rounded up, of uncached input and plain output: rounded otherwise it would be no bound."""
        if self._femto_usd is None:
            return math.ceil((self.input_usd * input_tokens + self.output_usd * output_tokens) * _NANO_PER_MTOK_USD)
        input_femto_usd, output_femto_usd, *_ = self._femto_usd
        return -(-(input_femto_usd * input_tokens + output_femto_usd * output_tokens) // _FEMTO_PER_NANO)

    @property
    def dearest_input_usd(self) -> Decimal:
        """Any input may turn out to be written to a cache for an hour, which costs Anthropic's customers double."""
        kinds = (self.cache_read_usd, self.cache_write_usd, self.cache_write_1h_usd, self.audio_input_usd)
        return max([self.input_usd, *(rate for rate in kinds if rate is not None)])

    @property
    def dearest_output_usd(self) -> Decimal:
        return max(self.output_usd, _else(self.audio_output_usd, self.output_usd))


def _dearest_of(possible: Sequence[Rates]) -> Rates:
    return Rates(
        max(rates.dearest_input_usd for rates in possible),
        max(rates.dearest_output_usd for rates in possible),
    )


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
class Change:
    """What a price becomes from a moment on (Unix seconds): all of it, nothing of the old one is kept."""

    from_s: float
    price: Price


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs: its base rates, dearer long contexts, dearer hours, batches, and how all that will change.

    A peak's rates hold whatever the length. `batch` has rates and long contexts of its own; None: batches cost what
    everything does. `changes` are in the order of their moments. `source` says who quotes it. `free`: it is declared to
    cost nothing, which is not the same as rates that are not known. `hour_usd`: what an hour of its hardware
    costs, used or idle, if that is what its rates were made of.
    """

    rates: Rates = Rates()
    long_contexts: tuple[LongContext, ...] = ()
    peaks: tuple[Peak, ...] = ()
    batch: Price | None = None
    changes: tuple[Change, ...] = ()
    source: str = field(default="", compare=False)
    free: bool = False
    hour_usd: Decimal | None = None
    _dearest: Rates = field(init=False, repr=False, compare=False)
    _is_flat: bool = field(init=False, repr=False, compare=False)
    """The same at any moment and length."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_is_flat", not (self.changes or self.peaks or self.long_contexts))
        object.__setattr__(self, "_dearest", _dearest_of((self.rates,)))

    def cost(self, usage: Usage, unix_s: float, *, batch: bool = False) -> Decimal:
        """Exact dollars of one answer asked at `unix_s`; never negative, because counts and rates never are."""
        return self.in_force(unix_s)._rates_for(usage.input_tokens, unix_s, batch=batch).cost(usage)

    def charge(self, usage: Usage, unix_s: float, *, batch: bool = False) -> int:
        """The same in integer nano-dollars: what is told and stored. Whoever sums, sums these."""
        if self._is_flat and not batch:
            return self.rates.charge(usage)
        return self.in_force(unix_s)._rates_for(usage.input_tokens, unix_s, batch=batch).charge(usage)

    def about_usd(self, input_tokens: int, output_tokens: int, unix_s: float) -> float:
        """The same of uncached input and plain output, as a float: for choosing between models, never for money."""
        rates = self.in_force(unix_s)._rates_for(input_tokens, unix_s)
        return (float(rates.input_usd) * input_tokens + float(rates.output_usd) * output_tokens) / 1e6

    def in_force(self, unix_s: float) -> Price:
        """What holds at a moment: the last change that has come."""
        if not self.changes:
            return self
        return next((change.price for change in reversed(self.changes) if change.from_s <= unix_s), self)

    def _rates_for(self, input_tokens: int, unix_s: float, *, batch: bool = False) -> Rates:
        """The rates of an answer with so much input, of what is in force."""
        if not (batch or self.peaks or self.long_contexts):
            return self.rates
        if batch and self.batch is not None:
            return self.batch._rates_for(input_tokens, unix_s)
        if self.peaks:
            at = datetime.fromtimestamp(unix_s, UTC)
            peak = next((peak.rates for peak in self.peaks if peak.covers(at)), None)
            if peak is not None:
                return peak
        return self._by_length(input_tokens)

    def dearest(self, input_tokens: int, unix_s: float) -> Rates:
        """Plain input and output rates that no token costs more than, in any answer with so much input or less:
        whatever becomes of its input, at any hour, and whether or not a change comes while it runs."""
        return self._dearest if self._is_flat else _dearest_of(tuple(self._possible(input_tokens, unix_s)))

    def bound(self, usage: Usage, unix_s: float) -> Decimal:
        """The most that `usage`, or any smaller one, can cost if asked at `unix_s`: what a reservation must cover."""
        return self.dearest(usage.input_tokens, unix_s).cost(Usage(usage.input_tokens, usage.output_tokens))

    def _possible(self, input_tokens: int, unix_s: float) -> Iterator[Rates]:
        coming = (change.price for change in self.changes if unix_s < change.from_s <= unix_s + LIFETIME_S)
        for price in (self.in_force(unix_s), *coming):
            yield price.rates
            yield from (peak.rates for peak in price.peaks)
            yield from (step.rates for step in price.long_contexts if input_tokens > step.over_tokens)

    def _by_length(self, input_tokens: int) -> Rates:
        over = [step for step in self.long_contexts if input_tokens > step.over_tokens]
        return max(over, key=lambda step: step.over_tokens).rates if over else self.rates


FREE = Price(free=True)


def to_nano(usd: Decimal) -> int:
    """Dollars to integer nano-dollars, half to even: the only rounding of money in the project."""
    return int((usd * NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def from_nano(nano_usd: int) -> Decimal:
    """Integer nano-dollars back to dollars, exactly."""
    return Decimal(nano_usd) / NANO_PER_USD

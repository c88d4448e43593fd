"""What a change of model costs a conversation whose prefix a provider has cached, and whether it pays all the same.

Theory of operation. Providers charge a tenth or less for input they have cached, and some charge more for writing it.
So the model that is cheapest for one request may not be for the conversation: it reads the whole prefix at full price
once more. What is compared is all that is still to come: as many turns as there have been (a conversation that has gone
on for long goes on for long), each with the prefix of now and an answer of the usual length.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gateway.core.plan import Model
from gateway.core.usage import Usage

_MOST_TURNS = 10
_LEAST_CACHED_TOKENS = 1_024
"""Of a provider that does not say from which length on it caches: OpenAI's and Anthropic's least (2026-11)."""
_MOST_CONVERSATIONS = 20_000
"""4 MB. The one that was silent longest goes first."""


@dataclass(frozen=True, slots=True)
class Warm:
    """So many `tokens` of a conversation's prefix are cached for `model` (a catalog name); `turns` are those so far."""

    model: str
    tokens: int
    turns: int = 1

    @property
    def turns_left(self) -> int:
        """This one and those that are to be expected after it."""
        return max(1, min(self.turns, _MOST_TURNS))


def remaining_usd(model: Model, warm: Warm, likely: Usage, unix_s: float) -> Decimal:
    """What the rest of a conversation is expected to cost at a model. `likely` is this turn's input and output."""
    prefix = min(warm.tokens, likely.input_tokens)
    read = Usage(likely.input_tokens, likely.output_tokens, cache_read_tokens=prefix)
    first = read if model.name == warm.model else _written(model, prefix, likely, unix_s)
    cost = model.price.cost
    return cost(first, unix_s) + cost(read, unix_s) * (warm.turns_left - 1)


def switch_usd(model: Model, warm: Warm, likely: Usage, unix_s: float) -> Decimal:
    """What of that is due to the prefix not being cached there: lost reads, and new writes where they have a price."""
    there = Warm(model.name, warm.tokens, warm.turns)
    return remaining_usd(model, warm, likely, unix_s) - remaining_usd(model, there, likely, unix_s)


def _written(model: Model, prefix: int, likely: Usage, unix_s: float) -> Usage:
    bills_writes = model.price.in_force(unix_s).rates.cache_write_usd is not None
    return Usage(likely.input_tokens, likely.output_tokens, cache_write_tokens=prefix if bills_writes else 0)


def stay_or_leave(
    ordered: Sequence[Model], may_stay: bool, warm: Warm, likely: Usage, unix_s: float
) -> tuple[tuple[Model, ...], str]:
    """The models in the order in which to ask them, and why. `may_stay`: the warm one is good enough for this turn."""
    first, here = ordered[0], next((model for model in ordered if model.name == warm.model), None)
    cached = f"{warm.tokens:,} cached tokens"
    if first is here:
        return tuple(ordered), f"{cached} at {warm.model}"
    switch = switch_usd(first, warm, likely, unix_s)
    if here is None or not may_stay:
        return tuple(ordered), f"leaves {warm.model} and {cached}: a switch of ${switch:.6f}"
    there_usd, here_usd = (remaining_usd(model, warm, likely, unix_s) for model in (first, here))
    turns = f"{warm.turns_left} turns" if warm.turns_left > 1 else "this turn"
    if here_usd <= there_usd:
        why = f"stays with {warm.model} and {cached}: {first.name} costs ${there_usd - here_usd:.6f} more over {turns}"
        return (here, *(model for model in ordered if model is not here)), f"{why}, ${switch:.6f} of it the switch"
    why = f"leaves {warm.model} and {cached}: {first.name} costs ${here_usd - there_usd:.6f} less over {turns}"
    return tuple(ordered), f"{why}, with ${switch:.6f} for the switch"


def cached_tokens(model: Model, usage: Usage) -> int:
    """How much of a request its provider now has cached, by what it said: what was read and written. Providers that
    cache unasked do not say what they wrote; that is taken to be the whole input, from their least length on."""
    told = usage.cache_read_tokens + usage.cache_write_tokens
    least = model.profile.min_cache_tokens or _LEAST_CACHED_TOKENS
    if model.profile.prompt_cache == "automatic" and usage.input_tokens >= least:
        return usage.input_tokens
    return told


class WarmPrefixes:
    """Where conversations were answered last, for as long as their prefix stays cached there. Moments are in seconds of
    any clock that does not run backwards."""

    def __init__(self, most: int = _MOST_CONVERSATIONS) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[Warm, float]] = OrderedDict()

    def find(self, key: bytes | None, now_s: float) -> Warm | None:
        warm, until_s = self._kept.get(key, (None, 0.0)) if key else (None, 0.0)
        return warm if now_s < until_s else None

    def keep(self, key: bytes, warm: Warm, until_s: float) -> None:
        self._kept[key] = warm, until_s
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

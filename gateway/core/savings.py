"""What a request did not cost, and compared with what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from gateway.core.plan import Model
from gateway.core.usage import Usage

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Saving:
    """Dollars saved against `baseline` (a model's name), and by which mechanism; nothing saved has no mechanism."""

    usd: Decimal = ZERO
    by: str | None = None
    baseline: str | None = None


def saving(usage: Usage, paid_usd: Decimal, baselines: Iterable[Model], mechanism: str | None, unix_s: float) -> Saving:
    """The dearest baseline's price for the same tokens, less what was paid; never below zero.

    The same tokens is an assumption: another model would have written another answer. Cached input is compared at
    the baseline's own cached rate. Without a mechanism (a pinned model that answered) nothing was saved.
    """
    if mechanism is None:
        return Saving()
    would_be = [(model.price.cost(usage, unix_s), model.name) for model in baselines]
    if not would_be:
        return Saving()
    usd, name = max(would_be)
    return Saving(usd - paid_usd, mechanism, name) if usd > paid_usd else Saving(baseline=name)

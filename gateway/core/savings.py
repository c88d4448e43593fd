"""What a request did not cost: compared with what, and why.

Theory of operation. The baseline is one model, named: the service's own choice, or the dearest it may use. Its price of
the tokens that were answered is what the request *would have* cost. From there to what it did cost is a sum:

    baseline - cost = savings, each with its cause - overheads, each with its kind

which holds to the nano-dollar for every request that has a baseline. None of its terms is ever negative, because
counters must not fall: an answer dearer than the baseline's is no negative saving but the overhead `dearer_model`. And
nothing is in it twice: one answer has one cause, but for what its provider's prompt cache took off, which is apart.

Same tokens is an assumption: another model would have written another answer. Its prompt cache is another: tokens that
the answering provider had cached are priced at the baseline's own rate for cached ones, as if it had cached them too.
That claims less than to say it would not have. So `prompt_cache` is only what the answering model's cache took off
*beyond* what the baseline's would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from decimal import Decimal
from typing import Literal

from gateway.core.frozen import value
from gateway.core.plan import Model
from gateway.core.pricing import from_nano
from gateway.core.usage import Usage

Cause = Literal[
    "tier", "exact_cache", "semantic_cache", "single_flight", "prompt_cache", "right_sizing", "batch", "local"
]
"""Why an answer cost less than the baseline's. A closed set: it is a label of metrics."""

OverheadKind = Literal["failed_attempt", "escalation", "dearer_model", "shadow", "judge"]
"""What was paid beside the answer: attempts that failed and were charged, answers that were thrown away for a better
one, what a model cost above the baseline; and behind the answers, checks of hits and who judged them."""

REFERENCE = Usage(1_000, 500)
"""The request by which the dearest model is named: one name for a service, whatever each request looks like."""


@value(frozen=True, slots=True)
class CauseSaved:
    cause: Cause
    nano_usd: int

    @property
    def usd(self) -> Decimal:
        return from_nano(self.nano_usd)


@value(frozen=True, slots=True)
class Overhead:
    kind: OverheadKind
    nano_usd: int

    @property
    def usd(self) -> Decimal:
        return from_nano(self.nano_usd)


@value(frozen=True, slots=True)
class Paid:
    """What a request was charged: for its answer by `model` (None and 0 when a cache or another's flight gave it), and
    beside it. `usage` is the answer's own. `cause` is set where no model was asked, or why it was asked for less."""

    usage: Usage
    model: Model | None = None
    nano_usd: int = 0
    cause: Cause | None = None
    beside: Mapping[OverheadKind, int] = field(default_factory=dict)


@value(frozen=True, slots=True)
class Account:
    """A request against its baseline (a catalog name; None: there is none to compare with, and nothing is claimed)."""

    baseline: str | None = None
    baseline_nano_usd: int = 0
    savings: tuple[CauseSaved, ...] = ()
    overheads: tuple[Overhead, ...] = ()

    net_nano_usd: int = field(default=0, compare=False)
    """What is left of the savings: baseline less cost. Below zero: the request cost more than its baseline. Without a
    baseline 0: nothing is claimed."""

    @property
    def chief_cause(self) -> Cause | None:
        """Of the largest saving; None when nothing was saved on balance."""
        if self.net_nano_usd <= 0:
            return None
        first, *others = self.savings
        return max(self.savings, key=lambda saved: saved.nano_usd).cause if others else first.cause


def account_of(paid: Paid, baseline: Model | None, unix_s: float) -> Account:
    """`unix_s` is when it was asked: the baseline would have had that moment's price too."""
    beside: tuple[Overhead, ...] = ()
    if paid.beside:
        beside = tuple(Overhead(kind, nano_usd) for kind, nano_usd in paid.beside.items() if nano_usd)
    if baseline is None:
        return Account(overheads=beside)
    cost_nano_usd = would_nano_usd = paid.nano_usd
    for overhead in beside:
        cost_nano_usd += overhead.nano_usd
    if paid.model is not baseline or paid.cause is not None:
        would_nano_usd = baseline.price.charge(paid.usage, unix_s)
    gross_nano_usd = would_nano_usd - paid.nano_usd
    if gross_nano_usd < 0:
        beside = (*beside, Overhead("dearer_model", -gross_nano_usd))
    savings = _savings(paid, baseline, would_nano_usd, unix_s) if gross_nano_usd > 0 else ()
    return Account(baseline.name, would_nano_usd, savings, beside, would_nano_usd - cost_nano_usd)


def _savings(paid: Paid, baseline: Model, would_nano_usd: int, unix_s: float) -> tuple[CauseSaved, ...]:
    """Of an answer that cost less than the baseline's would have."""
    gross_nano_usd = would_nano_usd - paid.nano_usd
    cause = paid.cause or _of_model(paid.model)
    if paid.model is None or not paid.usage.cache_read_tokens:
        return (CauseSaved(cause, gross_nano_usd),)
    by_cache = min(_prompt_cache_nano_usd(paid, paid.model, baseline, would_nano_usd, unix_s), gross_nano_usd)
    parts = CauseSaved("prompt_cache", by_cache), CauseSaved(cause, gross_nano_usd - by_cache)
    return tuple(part for part in parts if part.nano_usd)


def _of_model(model: Model | None) -> Cause:
    return "local" if model is not None and model.local else "tier"


def _prompt_cache_nano_usd(paid: Paid, model: Model, baseline: Model, would_nano_usd: int, unix_s: float) -> int:
    """What the answering model's prompt cache took off beyond what the baseline's would have; surcharges for writing
    to it counted against it."""
    plain = replace(paid.usage, cache_read_tokens=0, cache_write_tokens=0, cache_write_1h_tokens=0)
    own = model.price.charge(plain, unix_s) - paid.nano_usd
    theirs = baseline.price.charge(plain, unix_s) - would_nano_usd
    return max(0, own - theirs)


def dearest(models: Iterable[Model], unix_s: float) -> Model | None:
    """Of these, the one that REFERENCE costs most at that moment."""
    return max(models, key=lambda model: (model.price.cost(REFERENCE, unix_s), model.name), default=None)

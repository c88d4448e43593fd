"""A service: the authenticated caller, with what it may use and spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.budget import Budget, Payer, counter_of
from gateway.core.limits import NO_LIMITS, Limits
from gateway.core.policy import RULES, Policy
from gateway.core.review import NO_REVIEW, Terms
from gateway.core.tiers import Tier


@dataclass(frozen=True, slots=True)
class CacheTerms:
    """What a service has agreed with its caches. `tools` lets answers with tool calls be stored and had, as a request
    may. `ttl_s` None: the gateway's own; a request may say another."""

    enabled: bool = True
    semantic: bool = True
    tools: bool = False
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """`models` is what the service may *ask* for: catalog names, `provider/model`, or `auto` (which may then route
    to any model of the catalog); None allows everything. `tiers` are those that `auto` may route to; None is all.
    `baseline_model` is what savings are compared with; None is the dearest model the request could have used.
    `cache_scope` isolates answers: the service's own name unless several services share a group on purpose. `budgets`
    are its own first, then those of the groups it is in, outward; `ledger_tag` is the outermost of these accounts, ""
    for its own. `policy` is what it wants of the router, `review` of its light answers. `tags` are the operator's own
    words about it."""

    name: str
    models: frozenset[str] | None = None
    tiers: frozenset[Tier] | None = None
    budgets: tuple[Budget, ...] = ()
    baseline_model: str | None = None
    cache_scope: str = ""
    cache: CacheTerms = CacheTerms()
    ledger_tag: str = ""
    limits: Limits = NO_LIMITS
    policy: Policy = RULES
    review: Terms = NO_REVIEW
    tags: Mapping[str, str] = field(default_factory=dict)
    payer: Payer = field(init=False, repr=False, compare=False)
    """Who pays for what this service asks of others."""
    unmetered: Payer = field(init=False, repr=False, compare=False)
    """The same for local models, whose answers no budget counts, so that they outlast every budget."""

    def __post_init__(self) -> None:
        tag = self.ledger_tag or self.name
        object.__setattr__(self, "payer", Payer(self.name, tag, self.budgets or (counter_of(self.name),)))
        object.__setattr__(self, "unmetered", Payer(self.name, tag))

    def may_ask(self, *names: str) -> bool:
        """Whether any of these spellings of one model is allowed."""
        return self.models is None or not self.models.isdisjoint(names)

    def may_route_to(self, tier: str) -> bool:
        """Whether `auto` may use models of the tier."""
        return self.tiers is None or tier in self.tiers

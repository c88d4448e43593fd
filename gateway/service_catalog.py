"""From settings to the domain: services with their keys, limits and budgets, their own and those of their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from gateway.core.budget import Away, Budget
from gateway.core.ladder import Ladder
from gateway.core.limits import Limits
from gateway.core.policy import RULES, Policy
from gateway.core.pricing import to_nano
from gateway.core.review import Terms
from gateway.core.service import CacheTerms, Service
from gateway.core.window import WindowRule
from gateway.routing_settings import RoutingTerms
from gateway.service_settings import (
    BudgetSettings,
    GroupSettings,
    LimitsSettings,
    ReviewSettings,
    ServiceSettings,
    upward,
    zone_named,
)
from gateway.settings import Loaded

ANONYMOUS = Service("default", cache_scope="default")
"""Who everyone is while no services are configured (loopback only), where neither routing nor review is configured."""

PolicyOf = Callable[[RoutingTerms], Policy]
"""What terms amount to with the router's weights."""

_NO_RUNGS = Ladder(None, None, None)


def is_anonymous(service: Service) -> bool:
    """Whether it is nobody's in particular: the scopes of all others say whose they are."""
    return service.cache_scope == ANONYMOUS.cache_scope


def build_services(loaded: Loaded, policy_of: PolicyOf = lambda terms: RULES) -> dict[str, Service]:
    """Services by name; empty when none are configured."""
    settings = loaded.settings
    return {
        service.name: _service(
            service, settings.groups, service.routing or settings.routing, policy_of, settings.review
        )
        for service in settings.services
    }


def anonymous(loaded: Loaded, policy_of: PolicyOf) -> Service:
    """Who everyone is while no services are configured."""
    routing, review = loaded.settings.routing, review_terms(loaded.settings.review)
    return replace(ANONYMOUS, policy=policy_of(routing), tiers=routing.tiers_of(None), review=review)


def key_digests(loaded: Loaded) -> dict[str, str]:
    """The names of services by the SHA-256 of each key that is in the configuration."""
    return {digest: service.name for service in loaded.settings.services for digest in service.digests}


def _service(
    service: ServiceSettings,
    groups: Sequence[GroupSettings],
    routing: RoutingTerms,
    policy_of: PolicyOf,
    review: ReviewSettings,
) -> Service:
    above = upward(groups, service.group)
    limits = service.limits
    return Service(
        name=service.name,
        models=None if service.models is None else frozenset(service.models),
        tiers=routing.tiers_of(service.tiers),
        policy=policy_of(routing),
        budgets=(*_own_budgets(service), *_group_budgets(above)),
        baseline_model=service.baseline_model,
        cache=CacheTerms(**service.cache.model_dump()),
        review=review_terms(service.review or review),
        cache_scope=f"group:{service.cache_group}" if service.cache_group else f"service:{service.name}",
        ledger_tag=above[-1].name if above else service.name,
        limits=Limits(limits.requests_per_minute, limits.concurrency),
        tags=service.tags,
    )


def review_terms(review: ReviewSettings) -> Terms:
    return Terms(review.mode, frozenset(review.without), review.min_logprob, review.arithmetic)


def _own_budgets(service: ServiceSettings) -> Iterator[Budget]:
    yield from _token_rate(service.name, service.limits)
    for budget in (*filter(None, [service.budget]), *service.budgets):
        yield _budget(service.name, budget)


def _group_budgets(groups: Sequence[GroupSettings]) -> Iterator[Budget]:
    for group in groups:
        for budget in group.budgets:
            yield _budget(group.name, budget)


def _token_rate(account: str, limits: LimitsSettings) -> Iterator[Budget]:
    """Tokens a minute can only be known by reserving them, so the ledger keeps them. Without it they are not limited:
    a rate spares the providers, it does not guard the bill."""
    tokens = limits.tokens_per_minute
    if tokens is not None:
        yield Budget(account, WindowRule("minute", "sliding"), tokens, ladder=_NO_RUNGS, away="open", rate=True)


def _budget(account: str, budget: BudgetSettings) -> Budget:
    zone = zone_named(budget.time_zone)
    assert zone is not None  # service_contradictions has refused what is no zone
    hard = budget.enforcement == "hard"
    ordinary: Away = "closed" if hard else "open"
    return Budget(
        account,
        WindowRule(budget.window, budget.style, zone),
        budget.tokens,
        None if budget.usd is None else to_nano(budget.usd),
        hard=hard,
        ladder=Ladder(budget.ladder.warn, budget.ladder.cheaper, budget.ladder.local),
        pace_burst=None if budget.pacing is None else budget.pacing.burst,
        away=budget.when_unavailable or ordinary,
    )

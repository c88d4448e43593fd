"""How services and budgets look to whoever may see them. Dollars are decimal strings with nine decimals, as exact as
they are kept; moments are UTC.

`used` is settled and reserved together. While the ledger cannot be reached it is null, as is everything computed from
it: a sum that is not known must not look like one that is 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel

from gateway.core.budget import Amount, Away, Budget, Kind
from gateway.core.ladder import Level
from gateway.core.service import Service
from gateway.core.tiers import Tier
from gateway.core.window import WindowKind, WindowStyle
from gateway.http.respond import usd
from gateway.ports import Standing


class TokenSums(BaseModel):
    limit: int | None
    used: int | None
    remaining: int | None


class DollarSums(BaseModel):
    limit: str | None
    used: str | None
    remaining: str | None


class LadderView(BaseModel):
    warn: float | None
    cheaper: float | None
    local: float | None


class BudgetView(BaseModel):
    """A `rate` is `tokens_per_minute`. `level` is the highest rung of the ladder that its use has reached, `ok` below
    all of them."""

    account: str
    rate: bool
    window: WindowKind
    style: WindowStyle
    time_zone: str
    window_ends_at: datetime | None
    enforcement: Literal["hard", "soft"]
    when_unavailable: Away
    tokens: TokenSums
    usd: DollarSums
    ladder: LadderView
    level: Level | Literal["ok"] | None


class LimitsView(BaseModel):
    requests_per_minute: int | None
    concurrency: int | None


class CacheView(BaseModel):
    """Answers are shared with every service of the same `scope`."""

    enabled: bool
    semantic: bool
    tools: bool
    ttl_s: int | None
    scope: str


class ServiceView(BaseModel):
    """`models` and `tiers` null: everything. `budgets` are its own first, then those of its groups, outward;
    `budgets_unavailable` says why their sums are null."""

    object: Literal["thriftgate.service"] = "thriftgate.service"
    name: str
    models: list[str] | None
    tiers: list[Tier] | None
    baseline_model: str | None
    limits: LimitsView
    tags: dict[str, str]
    cache: CacheView
    budgets: list[BudgetView]
    budgets_unavailable: str | None


def service_view(service: Service, standings: tuple[Standing, ...] | None, why: str | None = None) -> ServiceView:
    """Without `standings`, `why` there are none."""
    cache = service.cache
    return ServiceView(
        name=service.name,
        models=None if service.models is None else sorted(service.models),
        tiers=None if service.tiers is None else sorted(service.tiers, key=lambda tier: tier.rank),
        baseline_model=service.baseline_model,
        limits=LimitsView(
            requests_per_minute=service.limits.requests_per_minute, concurrency=service.limits.concurrency
        ),
        tags=dict(service.tags),
        cache=CacheView(
            enabled=cache.enabled,
            semantic=cache.semantic,
            tools=cache.tools,
            ttl_s=cache.ttl_s,
            scope=service.cache_scope,
        ),
        budgets=[budget_view(budget) for budget in service.payer.budgets]
        if standings is None
        else [budget_view(standing.budget, standing) for standing in standings],
        budgets_unavailable=why,
    )


def budget_view(budget: Budget, standing: Standing | None = None) -> BudgetView:
    rule, used, ladder = budget.rule, standing.used if standing else None, budget.ladder
    return BudgetView(
        account=budget.account,
        rate=budget.rate,
        window=rule.kind,
        style=rule.style,
        time_zone=str(rule.zone),
        window_ends_at=datetime.fromtimestamp(standing.window_end_s, UTC) if standing else None,
        enforcement="hard" if budget.hard else "soft",
        when_unavailable=budget.away if budget.hard else "open",
        tokens=TokenSums(**_sums(budget, "tokens", used)),
        usd=DollarSums(**{name: _dollars(nano) for name, nano in _sums(budget, "nano_usd", used).items()}),
        ladder=LadderView(warn=ladder.warn, cheaper=ladder.cheaper, local=ladder.local),
        level=None if used is None else ladder.level(budget.used_share(used)) or "ok",
    )


def _sums(budget: Budget, kind: Kind, used: Amount | None) -> dict[str, int | None]:
    limit = dict(budget.limits()).get(kind)
    if used is None:
        return {"limit": limit, "used": None, "remaining": None}
    part: int = getattr(used, kind)
    return {"limit": limit, "used": part, "remaining": None if limit is None else max(0, limit - part)}


def _dollars(nano_usd: int | None) -> str | None:
    return None if nano_usd is None else usd(nano_usd)

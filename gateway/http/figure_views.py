"""How the figures look to whoever may see them. Dollars are decimal strings with nine decimals, as exact as they are
kept; moments and days are UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import BaseModel

from gateway.core.figures import Days, Figures, Forecast, Spend
from gateway.core.tally import date_of
from gateway.core.totals import Recent
from gateway.http.account_views import BudgetView
from gateway.http.respond import usd


class SpendView(BaseModel):
    """`cost_usd` is the requests', `checks_usd` what checks of semantic hits cost beside them, `total_usd` both.

    `baseline_usd` is what the `compared_usd` of the cost (requests that have a baseline) would have cost at it:
    `baseline_usd - compared_usd = saved_usd - overhead_usd`, but for the overhead of requests that have no baseline.
    `net_saved_usd` is `saved_usd` less all overhead, checks included, and may be negative. `last_month_usd` and
    `last_month_compared_usd` are the same for a second, sober baseline: the model that each service used most in the
    last calendar month; 0 while there is none. Tokens are those that were charged."""

    requests: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost_usd: str
    checks_usd: str
    total_usd: str
    baseline_usd: str
    compared_usd: str
    saved_usd: str
    overhead_usd: str
    net_saved_usd: str
    last_month_usd: str
    last_month_compared_usd: str


class PartView(SpendView):
    """Of one service, tier, provider, model, cache verdict or outcome."""

    name: str


class DayView(SpendView):
    date: date


class AmountView(BaseModel):
    """One cause of savings, one kind of overhead, or one baseline's model."""

    name: str
    usd: str


class ForecastView(BaseModel):
    """The month's total at its end. `how` says in a sentence what it is computed from; `low_usd` and `high_usd` are
    with the cheapest and the dearest of those days."""

    usd: str
    low_usd: str
    high_usd: str
    pace_usd_per_day: str
    whole_days: int
    days_left: float
    how: str


class RecentView(BaseModel):
    id: str
    at: datetime
    endpoint: str
    service: str
    tier: str | None
    model: str | None
    provider: str | None
    cache: str
    outcome: str
    status: int
    error_code: str | None
    stream: bool
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_usd: str
    saved_usd: str
    duration_s: float
    first_token_s: float | None
    reasons: list[str]


class FiguresView(BaseModel):
    """`service` null: all of them. `complete` is false until the ledger's files have been read after a start: sums are
    too low until then. `kept_from` is the first day that can be asked for. `budgets_unavailable` says why the sums of
    `budgets` are null."""

    object: Literal["thriftgate.figures"] = "thriftgate.figures"
    as_of: datetime
    complete: bool
    service: str | None
    services: list[str]
    first_day: date
    last_day: date
    kept_from: date
    today: SpendView
    month: SpendView
    forecast: ForecastView
    range: SpendView
    by_service: list[PartView]
    by_tier: list[PartView]
    by_provider: list[PartView]
    by_model: list[PartView]
    by_cache: list[PartView]
    by_outcome: list[PartView]
    by_day: list[DayView]
    saved_by_cause: list[AmountView]
    overhead_by_kind: list[AmountView]
    baselines: list[AmountView]
    last_month_baselines: list[AmountView]
    checks: dict[str, int]
    budgets: list[BudgetView]
    budgets_unavailable: str | None
    recent: list[RecentView]


class Accounts(BaseModel):
    """What the ledger says of budgets, or why it says nothing."""

    budgets: list[BudgetView]
    unavailable: str | None = None


def figures_view(
    figures: Figures, kept: Days, now_s: float, services: list[str], accounts: Accounts, *, complete: bool, only: bool
) -> FiguresView:
    """`only`: the one service of `services` may be seen, and no other."""
    return FiguresView(
        as_of=datetime.fromtimestamp(now_s, UTC),
        complete=complete,
        service=services[0] if only else None,
        services=services,
        first_day=date_of(figures.chosen_days.first),
        last_day=date_of(figures.chosen_days.last),
        kept_from=date_of(kept.first),
        today=SpendView.model_validate(_spend(figures.today)),
        month=SpendView.model_validate(_spend(figures.month)),
        forecast=_forecast(figures.forecast),
        range=SpendView.model_validate(_spend(figures.chosen)),
        **{f"by_{name}": [_part(*part) for part in parts] for name, parts in figures.by.items()},
        by_day=[DayView.model_validate({"date": date_of(day), **_spend(spend)}) for day, spend in figures.by_day],
        saved_by_cause=_amounts(figures.saved),
        overhead_by_kind=_amounts(figures.overhead),
        baselines=_amounts(figures.baselines),
        last_month_baselines=_amounts(figures.last_month),
        checks=dict(figures.checks),
        budgets=accounts.budgets,
        budgets_unavailable=accounts.unavailable,
        recent=[_recent(one) for one in figures.recent],
    )


def signed_usd(nano_usd: int) -> str:
    return usd(nano_usd) if nano_usd >= 0 else f"-{usd(-nano_usd)}"


def _part(name: str, spend: Spend) -> PartView:
    return PartView.model_validate({"name": name, **_spend(spend)})


def _spend(spend: Spend) -> dict[str, int | str]:
    sums = spend.sums
    return {
        "requests": sums.requests,
        "input_tokens": sums.input_tokens,
        "cache_read_tokens": sums.cache_read_tokens,
        "output_tokens": sums.output_tokens,
        "cost_usd": usd(sums.cost_nano_usd),
        "checks_usd": usd(spend.checks_nano_usd),
        "total_usd": usd(spend.total_nano_usd),
        "baseline_usd": usd(sums.baseline_nano_usd),
        "compared_usd": usd(sums.compared_nano_usd),
        "saved_usd": usd(sums.saved_nano_usd),
        "overhead_usd": usd(sums.overhead_nano_usd),
        "net_saved_usd": signed_usd(spend.net_saved_nano_usd),
        "last_month_usd": usd(sums.last_month_nano_usd),
        "last_month_compared_usd": usd(sums.last_month_compared_nano_usd),
    }


def _amounts(amounts: Mapping[str, int]) -> list[AmountView]:
    return [AmountView(name=name, usd=usd(nano_usd)) for name, nano_usd in amounts.items()]


def _forecast(forecast: Forecast) -> ForecastView:
    days = forecast.whole_days
    pace = {0: "today's spend so far, stretched to a whole day", 1: "what yesterday cost"}.get(
        days, f"the mean of the last {days} whole days"
    )
    return ForecastView(
        usd=usd(forecast.nano_usd),
        low_usd=usd(forecast.low_nano_usd),
        high_usd=usd(forecast.high_nano_usd),
        pace_usd_per_day=usd(forecast.pace_nano_usd),
        whole_days=days,
        days_left=round(forecast.days_left, 4),
        how=f"This month so far, and for each of the {forecast.days_left:.1f} days that are left {pace}.",
    )


def _recent(one: Recent) -> RecentView:
    return RecentView(
        id=one.id,
        at=datetime.fromtimestamp(one.at_s, UTC),
        endpoint=one.endpoint,
        service=one.service,
        tier=one.tier,
        model=one.model,
        provider=one.provider,
        cache=one.cache,
        outcome=one.outcome,
        status=one.status,
        error_code=one.error_code,
        stream=one.stream,
        attempts=one.attempts,
        input_tokens=one.input_tokens,
        output_tokens=one.output_tokens,
        cost_usd=usd(one.cost_nano_usd),
        saved_usd=signed_usd(one.saved_nano_usd),
        duration_s=one.duration_s,
        first_token_s=one.first_token_s,
        reasons=list(one.reasons),
    )

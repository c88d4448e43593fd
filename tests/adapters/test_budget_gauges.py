from __future__ import annotations

import asyncio

from gateway.adapters.budget_gauges import budget_gauges
from gateway.core.budget import Amount, Budget, Payer
from gateway.core.errors import LedgerUnavailable
from gateway.core.window import WindowRule
from gateway.ports import Standing

TEAM = Budget("team", WindowRule("month"), nano_usd=5_000_000_000)
SHOP = Payer("shop", "team", (Budget("shop", WindowRule("day"), tokens=1_000), TEAM))
SEARCH = Payer("search", "team", (TEAM,))
FREE = Payer("free", "free", (Budget("free", WindowRule("day")),))


async def stand(payer: Payer) -> tuple[Standing, ...]:
    return tuple(Standing(budget, 2e9, Amount(400, 1_000_000_001)) for budget in payer.budgets)


async def test_limits_use_and_end_are_told_for_each_budget_once() -> None:
    assert await budget_gauges(stand, [SHOP, SEARCH]) == {
        "thriftgate_budget_limit_tokens": {("shop", "day"): 1_000},
        "thriftgate_budget_used_tokens": {("shop", "day"): 400},
        "thriftgate_budget_limit_usd": {("team", "month"): 5.0},
        "thriftgate_budget_used_usd": {("team", "month"): 1.000000001},
        "thriftgate_budget_window_end_timestamp_seconds": {("shop", "day"): 2e9, ("team", "month"): 2e9},
    }


async def test_who_has_no_limit_is_not_asked_about() -> None:
    assert await budget_gauges(stand, [FREE]) == {}


async def test_what_cannot_be_reached_or_comes_late_is_left_out() -> None:
    async def partly(payer: Payer) -> tuple[Standing, ...]:
        if payer is SHOP:
            raise LedgerUnavailable("away")
        await asyncio.Event().wait()
        return ()

    assert await budget_gauges(partly, [SHOP, SEARCH], deadline_s=0.01) == {}

"""How the budgets stand, asked when the metrics are read: the ledger knows, and no process's counters do.

All payers are asked at once, over one pipelined connection, and what has not been answered within the deadline is left
out: a metric that is absent is no metric that is 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator

from gateway.adapters import metric_names as names
from gateway.adapters.metric_families import Family, Labels, Store, Value
from gateway.core.budget import Payer
from gateway.core.errors import LedgerUnavailable
from gateway.core.pricing import from_nano
from gateway.ports import Standing

DEADLINE_S = 0.05
Stand = Callable[[Payer], Awaitable[tuple[Standing, ...]]]
"""`ports.Ledger.standing`."""


async def budget_gauges(stand: Stand, payers: Iterable[Payer], deadline_s: float = DEADLINE_S) -> Store:
    """Series by metric name. A budget that several services spend from is there once."""
    asked = [asyncio.create_task(_standings(stand, payer)) for payer in payers if payer.is_limited]
    if not asked:
        return {}
    answered, late = await asyncio.wait(asked, timeout=deadline_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    store: Store = {}
    for task in answered:
        for standing in task.result():
            for family, labels, value in _gauges(standing):
                store.setdefault(family.name, {})[labels] = value
    return store


async def _standings(stand: Stand, payer: Payer) -> tuple[Standing, ...]:
    try:
        return await stand(payer)
    except LedgerUnavailable:
        return ()


def _gauges(standing: Standing) -> Iterator[tuple[Family, Labels, Value]]:
    budget, used = standing.budget, standing.used
    labels = budget.account, budget.rule.kind
    if budget.nano_usd is not None:
        yield names.BUDGET_LIMIT_USD, labels, float(from_nano(budget.nano_usd))
        yield names.BUDGET_USED_USD, labels, float(from_nano(used.nano_usd))
    if budget.tokens is not None:
        yield names.BUDGET_LIMIT_TOKENS, labels, budget.tokens
        yield names.BUDGET_USED_TOKENS, labels, used.tokens
    yield names.BUDGET_END, labels, standing.window_end_s

"""Three processes on one Redis: their holds have one order, in which the budget was never overrun."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from itertools import accumulate

import orjson

from gateway.adapters.clock import SystemClock
from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import Amount, Bid
from gateway.core.errors import BudgetExceeded
from tests.adapters.ledger_racer import LIMIT_TOKENS, payer_of
from tests.fixtures.semantic import EventList
from tests.fixtures.state import PATIENT_S

HOLDS = (67, 67, 66)


async def racer(url: str, service: str, holds: int) -> Process:
    module = "tests.adapters.ledger_racer"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, url, service, str(holds), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def race(url: str) -> list[dict[str, int | None]]:
    racers = await asyncio.gather(*(racer(url, f"service {n}", holds) for n, holds in enumerate(HOLDS)))
    told = await asyncio.gather(*(process.communicate(b"go\n") for process in racers))
    return [hold for out, _ in told for hold in orjson.loads(out)]


async def test_two_hundred_holds_of_three_processes_have_one_order_in_which_no_budget_is_overrun(
    redis_url: str, redis_client: RedisClient
) -> None:
    told = await race(redis_url)
    granted = sorted((hold for hold in told if hold["used"] is not None), key=lambda hold: hold["used"] or 0)
    refused = [hold["asked"] or 0 for hold in told if hold["used"] is None]
    assert len(told) == 200
    assert refused
    # Each saw the sum of exactly those before it, and itself.
    assert [hold["used"] for hold in granted] == list(accumulate(hold["asked"] or 0 for hold in granted))
    used = granted[-1]["used"] or 0
    assert used <= LIMIT_TOKENS
    assert all(used + asked > LIMIT_TOKENS for asked in refused)
    assert used >= 0.8 * LIMIT_TOKENS
    assert await spend_the_rest(redis_client) == LIMIT_TOKENS - used


async def spend_the_rest(client: RedisClient) -> int:
    """One token after the other, until there is none."""
    ledger, payer = RedisLedger(client, SystemClock(), EventList(), timeout_s=PATIENT_S), payer_of("service 0")
    for spent in range(LIMIT_TOKENS):
        try:
            await ledger.hold(f"rest {spent}", payer, Bid(Amount(1)))
        except BudgetExceeded:
            return spent
    raise AssertionError("the budget has no end")

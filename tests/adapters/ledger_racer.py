"""A process of its own that holds as fast as it can: `python -m tests.adapters.ledger_racer URL SERVICE HOLDS`.

Says `ready`, waits for a line, and then tells of each hold what it asked for and, if it was granted, how the team's
budget stood with it.
"""

from __future__ import annotations

import asyncio
import sys

import orjson

from gateway.adapters.clock import SystemClock
from gateway.adapters.redis_client import connect
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import Amount, Bid, Budget, Payer
from gateway.core.errors import BudgetExceeded
from gateway.core.window import WindowRule
from tests.fixtures.semantic import EventList
from tests.fixtures.state import PATIENT_S

LIMIT_TOKENS = 10_000
TEAM = Budget("team", WindowRule("month"), tokens=LIMIT_TOKENS)


def payer_of(service: str) -> Payer:
    """Its own budget is larger than the team's, so the team's decides."""
    own = Budget(service, WindowRule("day"), tokens=2 * LIMIT_TOKENS)
    return Payer(service, "team", (own, TEAM))


async def race(url: str, service: str, holds: int) -> None:
    client = connect(url, timeout_s=PATIENT_S)
    ledger = RedisLedger(client, SystemClock(), EventList(), timeout_s=PATIENT_S)
    payer = payer_of(service)
    await ledger.standing(payer)  # the script is loaded and the connection open
    print("ready", flush=True)  # noqa: T201  # what the test waits for
    await asyncio.to_thread(sys.stdin.readline)
    told = await asyncio.gather(*(one(ledger, payer, f"{service}.{number}", 40 + number) for number in range(holds)))
    sys.stdout.buffer.write(orjson.dumps(told))
    await client.aclose()


async def one(ledger: RedisLedger, payer: Payer, id: str, tokens: int) -> dict[str, int | None]:
    try:
        hold = await ledger.hold(id, payer, Bid(Amount(tokens)))
    except BudgetExceeded:
        return {"asked": tokens, "used": None}
    return {"asked": tokens, "used": hold.standings[1].used.tokens}


if __name__ == "__main__":
    asyncio.run(race(sys.argv[1], sys.argv[2], int(sys.argv[3])))

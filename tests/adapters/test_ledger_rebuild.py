"""Redis loses its memory: what the lines say is there again, and nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.journaled_ledger import JournaledLedger
from gateway.adapters.ledger_file import LedgerFile
from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import Amount, Budget, Payer
from gateway.core.window import WindowRule
from gateway.offline.ledger_verify import verify
from tests.fixtures.ledger import LEASE_S, bid
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S

ACME = Budget("acme", WindowRule("month"), tokens=10_000)
SHOP = Payer("shop", "acme", (Budget("shop", WindowRule("day"), tokens=10_000), ACME))
SEARCH = Payer("search", "acme", (Budget("search", WindowRule("minute", "sliding"), tokens=10_000), ACME))


class Process:
    """A gateway's ledger; a second one on the same folder is the same gateway, started again."""

    def __init__(self, folder: Path, clock: HandClock, told: EventList, redis: RedisClient) -> None:
        self._folder = folder
        self._clock = clock
        self._redis = redis
        inner = RedisLedger(
            redis, clock, told, lease_s=LEASE_S, timeout_s=PATIENT_S, server_ms=lambda: int(clock.now_s * 1000)
        )
        file = LedgerFile(folder, clock, told, max_file_bytes=100_000, keep_days=3)
        self.journal = JournaledLedger(inner, file, clock, told)

    async def serve(self, payer: Payer, id: str) -> None:
        await self.journal.settle(await self.journal.hold(id, payer, bid(60)), Amount(10))

    async def used(self, payer: Payer) -> list[int]:
        """Tokens, by budget."""
        return [standing.used.tokens for standing in await self.journal.standing(payer)]

    async def assert_equal(self) -> None:
        report = await verify([self._folder], self._redis, self._clock.now_s)
        assert all(row.verdict == "equal" for row in report.meters), report.meters


@pytest.fixture
async def process(
    tmp_path: Path, hand_clock: HandClock, told: EventList, redis_client: RedisClient
) -> AsyncIterator[Process]:
    hand_clock.now_s = 4_116_744_000.0  # 2100-06-15 12:00; keys expire by the server's real clock
    process = Process(tmp_path, hand_clock, told, redis_client)
    yield process
    await process.journal.stop()


async def test_what_was_spent_is_there_again(process: Process, redis_client: RedisClient) -> None:
    for number in range(3):
        await process.serve(SHOP, f"shop_{number}")
        await process.serve(SEARCH, f"search_{number}")
    await redis_client.flushall()
    assert (await process.used(SHOP), await process.used(SEARCH)) == ([30, 60], [30, 60])
    await process.assert_equal()


async def test_so_it_is_although_the_gateway_was_started_again(
    process: Process, tmp_path: Path, hand_clock: HandClock, told: EventList, redis_client: RedisClient
) -> None:
    await process.serve(SHOP, "shop_1")
    await process.journal.stop()
    await redis_client.flushall()
    again = Process(tmp_path, hand_clock, told, redis_client)
    await again.journal.start()
    await again.serve(SHOP, "shop_2")
    assert await again.used(SHOP) == [20, 20]
    await again.assert_equal()
    await again.journal.stop()


async def test_a_budget_of_the_same_tag_that_comes_later_counts_nothing_twice(process: Process) -> None:
    for number in range(3):
        await process.serve(SHOP, f"shop_{number}")
    await process.serve(SEARCH, "search_1")
    assert (await process.used(SHOP), await process.used(SEARCH)) == ([30, 40], [10, 40])
    await process.assert_equal()


async def test_what_is_in_the_air_is_charged_in_full_in_redis_and_in_the_lines(
    process: Process, redis_client: RedisClient
) -> None:
    await process.serve(SHOP, "shop_1")
    flying = await process.journal.hold("shop_2", SHOP, bid(60))
    await redis_client.flushall()
    await process.serve(SEARCH, "search_1")
    await process.journal.settle(flying, Amount(10))
    assert (await process.used(SHOP), await process.used(SEARCH)) == ([70, 80], [10, 80])
    await process.assert_equal()

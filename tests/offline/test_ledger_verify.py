"""What `verify` finds, on real lines and a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from gateway.adapters.journaled_ledger import JournaledLedger, LedgerEvents
from gateway.adapters.ledger_file import LedgerFile, ledger_files
from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_keys import meter_keys
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import Amount, Budget, Payer
from gateway.core.window import WindowRule
from gateway.offline.ledger_verify import Report, Unusable, verify
from tests.adapters.happened import ANSWERED
from tests.fixtures.ledger import SEARCH, UNLIMITED, bid
from tests.fixtures.semantic import EventList, HandClock

ZONE = timezone(timedelta(hours=9))
MANY = Payer(
    "search",
    "acme",
    (
        Budget("search", WindowRule("minute", "sliding"), tokens=1_000),
        Budget("search", WindowRule("week", "fixed"), tokens=1_000),
        Budget("acme", WindowRule("day", zone=ZONE), nano_usd=10_000),
    ),
)


class Gateway:
    """One gateway's ledger and its file."""

    def __init__(self, folder: Path, clock: HandClock, told: EventList, redis: RedisLedger) -> None:
        self.folder = folder
        self.clock = clock
        self._file = LedgerFile(folder, clock, told, max_file_bytes=2_000, keep_days=3)
        self.ledger = JournaledLedger(redis, self._file, clock, told)

    async def serve(self, payer: Payer, request_id: str, nano_usd: int = 100) -> None:
        hold = await self.ledger.hold(f"{request_id}.1", payer, bid(60, 600))
        await self.ledger.settle(hold, Amount(10, nano_usd))
        self.bill(request_id, nano_usd)

    def bill(self, request_id: str, nano_usd: int) -> None:
        told = replace(ANSWERED, service="search", request_id=request_id, cost_nano_usd=nano_usd)
        LedgerEvents(self._file, self.clock).tell(told)
        self._file.flush()


@pytest.fixture
async def new_gateway(
    tmp_path: Path, hand_clock: HandClock, told: EventList, new_ledger: Callable[[], RedisLedger]
) -> AsyncIterator[Callable[[str], Gateway]]:
    started: list[Gateway] = []

    def new(name: str) -> Gateway:
        started.append(Gateway(tmp_path / name, hand_clock, told, new_ledger()))
        return started[-1]

    yield new
    for gateway in started:
        await gateway.ledger.stop()


@pytest.fixture
def gateway(new_gateway: Callable[[str], Gateway]) -> Gateway:
    return new_gateway("ledger")


async def found(redis: RedisClient, *gateways: Gateway) -> Report:
    return await verify([gateway.folder for gateway in gateways], redis, gateways[0].clock.now_s)


async def test_what_was_served_is_equal(gateway: Gateway, redis_client: RedisClient) -> None:
    for number in range(5):
        await gateway.serve(MANY, f"req_{number}")
    report = await found(redis_client, gateway)
    assert report.equal
    assert [(row.meter.partition(":")[0], row.in_ledger, row.in_redis) for row in report.meters] == [
        ("acme/day", Amount(50, 500), Amount(50, 500)),
        ("search/fixed-week", Amount(50, 500), Amount(50, 500)),
        ("search/sliding-minute", Amount(50, 500), Amount(50, 500)),
    ]
    assert report.files > 1


async def test_spend_that_no_batch_has_had_yet_is_not_looked_for_in_redis(
    gateway: Gateway, redis_client: RedisClient
) -> None:
    await gateway.serve(UNLIMITED, "req_1")
    await gateway.ledger.stop()
    await gateway.serve(UNLIMITED, "req_2")
    report = await found(redis_client, gateway)
    assert [(row.in_ledger, row.verdict) for row in report.meters] == [(Amount(10, 100), "equal")]


@pytest.mark.parametrize("field", ["settled_tokens", "settled_nano_usd"])
async def test_a_sum_changed_by_hand_is_found(gateway: Gateway, redis_client: RedisClient, field: str) -> None:
    await gateway.serve(SEARCH, "req_1")
    await redis_client.hincrby(meter_keys("search", "search/day:2100-06-15").sums, field, 1)
    report = await found(redis_client, gateway)
    assert not report.equal
    assert [row.verdict for row in report.meters] == ["different"]


async def test_a_line_changed_by_hand_is_found(gateway: Gateway, redis_client: RedisClient) -> None:
    await gateway.serve(SEARCH, "req_1")
    (file,) = ledger_files(gateway.folder)
    file.write_bytes(file.read_bytes().replace(b'"tokens":10,', b'"tokens":11,'))
    assert not (await found(redis_client, gateway)).equal


async def test_a_bill_that_was_not_settled_is_found(gateway: Gateway, redis_client: RedisClient) -> None:
    await gateway.serve(SEARCH, "req_1")
    gateway.bill("req_2", 7)
    report = await found(redis_client, gateway)
    assert not report.equal
    assert [mismatch.what for mismatch in report.mismatches] == ["request req_2"]


async def test_a_redis_that_lost_its_memory_is_found(gateway: Gateway, redis_client: RedisClient) -> None:
    await gateway.serve(SEARCH, "req_1")
    await redis_client.flushall()
    report = await found(redis_client, gateway)
    assert [row.verdict for row in report.meters] == ["missing"]
    assert not report.equal


async def test_a_window_that_redis_may_forget_is_over(gateway: Gateway, redis_client: RedisClient) -> None:
    await gateway.serve(SEARCH, "req_1")
    await redis_client.flushall()
    gateway.clock.now_s += 2 * 86_400
    report = await found(redis_client, gateway)
    assert [row.verdict for row in report.meters] == ["over"]
    assert report.equal


async def test_of_a_sliding_window_the_buckets_that_count_are_compared(
    gateway: Gateway, redis_client: RedisClient, server_clock: HandClock
) -> None:
    for number in range(4):
        await gateway.serve(MANY, f"req_{number}")
        server_clock.now_s += 30
        gateway.clock.now_s += 30
    report = await found(redis_client, gateway)
    assert report.equal
    assert [row.in_ledger for row in report.meters if "sliding" in row.meter] == [Amount(30, 300)]


async def test_the_lines_of_all_gateways_on_one_redis_are_added_up(
    new_gateway: Callable[[str], Gateway], redis_client: RedisClient
) -> None:
    first, second = new_gateway("first"), new_gateway("second")
    await first.serve(MANY, "req_1")
    await second.serve(MANY, "req_2")
    assert not (await found(redis_client, first)).equal
    assert (await found(redis_client, first, second)).equal


async def test_a_running_gateway_is_looked_at_again_until_redis_has_heard(
    gateway: Gateway, redis_client: RedisClient
) -> None:
    await gateway.serve(SEARCH, "req_1")
    sums = meter_keys("search", "search/day:2100-06-15").sums
    await redis_client.hincrby(sums, "settled_tokens", -10)  # as if the settlement were on its way
    assert not (await verify([gateway.folder], redis_client, gateway.clock.now_s)).equal
    looking = asyncio.ensure_future(verify([gateway.folder], redis_client, gateway.clock.now_s, tries=1_000))
    await redis_client.hincrby(sums, "settled_tokens", 10)
    assert (await looking).equal


async def test_a_damaged_line_is_named_and_nothing_is_claimed(gateway: Gateway, redis_client: RedisClient) -> None:
    await gateway.serve(SEARCH, "req_1")
    (file,) = ledger_files(gateway.folder)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b'{"type":"settle","at":1}\n', *lines[2:]]))
    with pytest.raises(Unusable, match=f"{file}:3: `id` is not text"):
        await found(redis_client, gateway)


async def test_a_folder_without_lines_is_no_proof(tmp_path: Path, redis_client: RedisClient) -> None:
    with pytest.raises(Unusable, match="there are no ledger files in"):
        await verify([tmp_path], redis_client, 0.0)

"""A gateway dies between any two steps of an attempt; the next one makes Redis' sums equal the file's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from gateway.adapters.journaled_ledger import JournaledLedger, LedgerEvents
from gateway.adapters.ledger_file import LedgerFile, ledger_files
from gateway.adapters.ledger_tail import lines_of, restore
from gateway.adapters.redis_client import RedisClient, connect
from gateway.adapters.redis_ledger import Rebuild, RedisLedger
from gateway.core.books import Books
from gateway.core.budget import LATE_MS, NOTHING, Amount, Bid, Payer
from gateway.core.errors import BudgetExceeded
from gateway.core.events import Degraded
from gateway.core.ladder import Rung
from gateway.core.ledger_lines import ENTRY_KINDS, Draw, entry_of
from gateway.ports import Hold, Standing
from tests.adapters.happened import ANSWERED
from tests.fixtures.ledger import LEASE_S, SEARCH, UNLIMITED, bid, sums_of
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S, Valkey

Point = Literal["before hold", "after hold", "before settle", "after settle"]
ASKED, USED = Amount(60, 600), Amount(10, 100)


class Mortal:
    """A real ledger, of a process that dies at one point: it goes no further, and nothing after it happens."""

    def __init__(self, ledger: RedisLedger, dies: tuple[Point, str] | None) -> None:
        self._ledger = ledger
        self._dies = dies
        self.dead = asyncio.Event()

    @property
    def is_behind(self) -> bool:
        return self._ledger.is_behind

    def unix_s(self) -> float:
        return self._ledger.unix_s()

    def before_batches(self, tell: Callable[[Hold, Amount], None]) -> None:
        self._ledger.before_batches(tell)

    def rebuild_by(self, rebuild: Rebuild) -> None:
        self._ledger.rebuild_by(rebuild)

    def recount(self, batch: Hold, actual: Amount) -> None:
        self._ledger.recount(batch, actual)

    def start(self) -> None:
        self._ledger.start()

    async def stop(self) -> bool:
        return await self._ledger.stop()

    async def hold(self, id: str, payer: Payer, bid: Bid, rung: Rung = "wall") -> Hold:
        await self._live("before hold", id)
        hold = await self._ledger.hold(id, payer, bid, rung)
        await self._live("after hold", id)
        return hold

    async def settle(self, hold: Hold, actual: Amount) -> None:
        await self._live("before settle", hold.id)
        await self._ledger.settle(hold, actual)
        await self._live("after settle", hold.id)

    async def standing(self, payer: Payer) -> tuple[Standing, ...]:
        return await self._ledger.standing(payer)

    async def _live(self, point: Point, id: str) -> None:
        if (point, id) == self._dies:
            self.dead.set()
            await asyncio.Event().wait()


class World:
    """One folder and one Redis, in which gateways live one after the other."""

    def __init__(self, folder: Path, clock: HandClock, told: EventList, redis: RedisClient, new_ledger: Any) -> None:
        self.folder = folder
        self.clock = clock
        self.told = told
        self.redis = redis
        self.new_ledger: Callable[[], RedisLedger] = new_ledger
        self._dying: list[asyncio.Task[None]] = []

    def gateway(self, dies: tuple[Point, str] | None = None) -> tuple[JournaledLedger, Mortal]:
        file = LedgerFile(self.folder, self.clock, self.told, max_file_bytes=10_000, keep_days=3)
        inner = Mortal(self.new_ledger(), dies)
        return JournaledLedger(inner, file, self.clock, self.told), inner

    @asynccontextmanager
    async def living(self) -> AsyncIterator[JournaledLedger]:
        """A gateway that starts, recovers, and stops in peace."""
        journal, _ = self.gateway()
        await journal.start()
        yield journal
        await journal.stop()

    async def dies(
        self, point: Point, live: Callable[[JournaledLedger], Awaitable[Any]], attempt: str = "req_1.1"
    ) -> None:
        """A gateway that does `live` until it comes to that point of the attempt."""
        journal, mortal = self.gateway((point, attempt))
        self._dying.append(asyncio.ensure_future(self._live(journal, live)))
        await mortal.dead.wait()

    async def _live(self, journal: JournaledLedger, live: Callable[[JournaledLedger], Awaitable[Any]]) -> None:
        await journal.start()
        await live(journal)

    async def bury(self) -> None:
        for task in self._dying:
            task.cancel()
        await asyncio.gather(*self._dying, return_exceptions=True)

    def lines(self, *types: str) -> list[dict[str, Any]]:
        read = [orjson.loads(line) for file in ledger_files(self.folder) for line in lines_of(file)]
        return [line for line in read if not types or line["type"] in types]

    def books(self) -> Books:
        books = Books()
        for line in self.lines(*ENTRY_KINDS):
            books.add(entry_of(line))
        return books

    async def in_redis(self, payer: Payer) -> dict[str, int]:
        """What is settled and reserved in the payer's first meter now; absent is 0."""
        meter = payer.budgets[0].meter(self.clock.now_s)
        return await sums_of(self.redis, payer.tag, meter)

    async def assert_equal(self, payer: Payer, spent: Amount) -> None:
        """Redis and the file say the same, nothing is reserved and nothing open."""
        expected = {"settled_tokens": spent.tokens, "settled_nano_usd": spent.nano_usd}
        assert await self.in_redis(payer) == {field: n for field, n in expected.items() if n}
        books = self.books()
        assert list(books.sums.values()) == ([spent] if spent != NOTHING else [])
        assert (books.open, books.uncounted) == ({}, {})


@pytest.fixture
async def world(
    tmp_path: Path,
    hand_clock: HandClock,
    told: EventList,
    redis_client: RedisClient,
    new_ledger: Callable[[], RedisLedger],
) -> AsyncIterator[World]:
    world = World(tmp_path, hand_clock, told, redis_client, new_ledger)
    yield world
    await world.bury()


async def attempt(journal: JournaledLedger, payer: Payer = SEARCH, id: str = "req_1.1") -> None:
    hold = await journal.hold(id, payer, bid(60, 600))
    await journal.settle(hold, USED)


async def fly(journal: JournaledLedger, payer: Payer = SEARCH, id: str = "req_1.1") -> None:
    """Held, and the provider asked, when the next attempt meets its end."""
    await journal.hold(id, payer, bid(30, 300))
    await attempt(journal, payer, "other")


LEASE_STATES = [
    pytest.param(0.0, id="the lease goes on"),
    pytest.param(LEASE_S + 1.0, id="the lease is over"),
    pytest.param(LATE_MS / 1000 - 1.0, id="nearly forgotten"),
]


@pytest.mark.parametrize("away_s", LEASE_STATES)
@pytest.mark.parametrize(
    ("point", "spent"),
    [("before hold", NOTHING), ("after hold", NOTHING), ("before settle", USED), ("after settle", USED)],
)
async def test_wherever_a_gateway_dies_the_next_makes_both_sums_equal(
    world: World, server_clock: HandClock, point: Point, spent: Amount, away_s: float
) -> None:
    await world.dies(point, attempt)
    server_clock.now_s += away_s
    world.clock.now_s += away_s
    async with world.living():
        await world.assert_equal(SEARCH, spent)


@pytest.mark.parametrize("away_s", LEASE_STATES)
async def test_an_attempt_that_was_in_the_air_is_charged_in_full(
    world: World, server_clock: HandClock, away_s: float
) -> None:
    await world.dies("before hold", fly, "other")
    server_clock.now_s += away_s
    world.clock.now_s += away_s
    async with world.living():
        await world.assert_equal(SEARCH, Amount(30, 300))
    assert [line["id"] for line in world.lines("recovered")] == ["req_1.1"]


@pytest.mark.parametrize("point", ["before settle", "after settle"])
async def test_a_gateway_may_die_again_while_it_recovers(world: World, point: Point) -> None:
    await world.dies("before hold", fly, "other")
    await world.dies(point, attempt)
    async with world.living():
        await world.assert_equal(SEARCH, Amount(30, 300))


async def test_what_was_recovered_is_not_recovered_again(world: World) -> None:
    await world.dies("before hold", fly, "other")
    for _ in range(3):
        async with world.living():
            pass
    await world.assert_equal(SEARCH, Amount(30, 300))
    assert len(world.lines("recovered")) == 1


@pytest.mark.parametrize("point", ["before settle", "after settle"])
async def test_spend_that_was_never_reserved_is_counted_once_too(world: World, point: Point) -> None:
    await world.dies(point, lambda journal: attempt(journal, UNLIMITED))
    async with world.living():
        pass
    await world.assert_equal(UNLIMITED, USED)


async def test_spend_in_the_air_that_was_never_reserved_is_counted_in_full(world: World) -> None:
    await world.dies("before hold", lambda journal: fly(journal, UNLIMITED), "other")
    async with world.living():
        pass
    await world.assert_equal(UNLIMITED, Amount(30, 300))


async def test_a_batch_that_had_been_told_is_not_counted_again(world: World) -> None:
    async def batched(journal: JournaledLedger) -> None:
        await attempt(journal, UNLIMITED)
        await journal.stop()  # which tells the batch; the process dies before its file says any more
        await attempt(journal, SEARCH, "other")

    await world.dies("before hold", batched, "other")
    assert len(world.lines("batch")) == 1
    async with world.living():
        pass
    await world.assert_equal(UNLIMITED, USED)


async def drawing(journal: JournaledLedger) -> None:
    """Half of a budget is put aside, and of that 5 tokens are spent and 10 held."""
    await journal.hold("aside_1", SEARCH, bid(50, 500))
    for number, amount in ((1, Amount(20, 200)), (2, Amount(10, 100))):
        assert journal.draw(Draw(f"req_{number}.1", "aside_1", "search", amount))
    journal.drawn(Draw("req_1.1", "aside_1", "search", Amount(5, 50)))
    await attempt(journal, id="other")


@pytest.mark.parametrize("away_s", LEASE_STATES)
async def test_of_what_was_put_aside_only_what_was_drawn_and_what_was_in_the_air_is_charged(
    world: World, server_clock: HandClock, away_s: float
) -> None:
    await world.dies("before hold", drawing, "other")
    server_clock.now_s += away_s
    world.clock.now_s += away_s
    async with world.living():
        await world.assert_equal(SEARCH, Amount(15, 150))


async def test_what_an_attempt_holds_of_another_aside_now_is_charged_there_and_nowhere_else(world: World) -> None:
    async def exchanging(journal: JournaledLedger) -> None:
        asides = [await journal.hold(id, SEARCH, bid(20, 200)) for id in ("aside_1", "aside_2")]
        for aside in asides:
            journal.draw(Draw("req_1.1", aside.id, "search", Amount(7, 70)))
        await journal.settle(asides[0], Amount(3, 30))
        await attempt(journal, id="other")

    await world.dies("before hold", exchanging, "other")
    async with world.living():
        await world.assert_equal(SEARCH, Amount(10, 100))


async def test_what_was_drawn_before_the_last_file_counts_too(world: World) -> None:
    async def drawing_long(journal: JournaledLedger) -> None:
        await journal.hold("aside_1", SEARCH, bid(90, 900))
        for number in range(120):
            journal.draw(Draw(f"req_{number}.1", "aside_1", "search", Amount(1, 10)))
            if number % 2:
                journal.drawn(Draw(f"req_{number}.1", "aside_1", "search", NOTHING))
        await attempt(journal, id="other")

    await world.dies("before hold", drawing_long, "other")
    assert len(ledger_files(world.folder)) > 1
    async with world.living():
        await world.assert_equal(SEARCH, Amount(60, 600))


@pytest.mark.parametrize("boot", [b'"another run of the machine"', b"null"])
async def test_where_lines_may_have_died_with_the_machine_all_of_it_is_charged(world: World, boot: bytes) -> None:
    await world.dies("before hold", drawing, "other")
    restore(world.folder)
    (file,) = ledger_files(world.folder)
    file.write_bytes(re.sub(rb'"boot":[^,}]*', b'"boot":' + boot, file.read_bytes()))
    async with world.living():
        await world.assert_equal(SEARCH, Amount(50, 500))


async def test_after_a_gap_all_that_was_put_aside_is_charged(world: World) -> None:
    await world.dies("before hold", drawing, "other")
    restore(world.folder)
    with ledger_files(world.folder)[0].open("ab") as file:
        file.write(b'{"type":"gap","at":4116744000,"lines":1}\n')
    async with world.living():
        await world.assert_equal(SEARCH, Amount(50, 500))


async def test_nothing_may_be_drawn_while_the_disk_takes_no_line_of_it(world: World) -> None:
    world.folder /= "no folder"
    world.folder.touch()
    journal, _ = world.gateway()
    assert not journal.draw(Draw("req_1.1", "aside_1", "search", Amount(1)))


async def test_a_life_without_a_kill_has_every_step_in_its_order(world: World) -> None:
    async with world.living() as journal:
        await attempt(journal)
        await attempt(journal, UNLIMITED, "req_2")
    kinds = [line["type"] for line in world.lines()]
    assert kinds == ["head", "hold", "held", "settle", "held", "settle", "batch"]
    assert (world.books().open, world.books().uncounted) == ({}, {})


async def test_a_refusal_is_void(world: World) -> None:
    async with world.living() as journal:
        with pytest.raises(BudgetExceeded):
            await journal.hold("req_1.1", SEARCH, bid(101))
    assert [line["type"] for line in world.lines(*ENTRY_KINDS)] == ["hold", "void"]
    assert world.books().open == {}


async def test_a_hold_asked_for_again_and_a_second_settlement_have_no_lines(world: World) -> None:
    async with world.living() as journal:
        once = await journal.hold("req_1.1", SEARCH, bid(60, 600))
        assert await journal.hold("req_1.1", SEARCH, bid(60, 600)) == once
        await journal.settle(once, USED)
        await journal.settle(once, Amount(99, 999))
        await world.assert_equal(SEARCH, USED)
    assert [line["type"] for line in world.lines(*ENTRY_KINDS)] == ["hold", "held", "settle"]


async def test_an_attempt_that_no_meter_counts_has_its_lines_all_the_same(world: World) -> None:
    async with world.living() as journal:
        await attempt(journal, Payer("search", "search"))
    assert [(line["type"], line["tokens"]) for line in world.lines(*ENTRY_KINDS)] == [("held", 60), ("settle", 10)]


async def test_a_line_that_says_nothing_is_told_and_does_not_keep_a_gateway_from_starting(world: World) -> None:
    await world.dies("before hold", fly, "other")
    restore(world.folder)
    (file,) = ledger_files(world.folder)
    head, _, rest = file.read_bytes().partition(b"\n")
    file.write_bytes(head + b'\n{"type":"held"}\n' + rest)
    async with world.living():
        assert await world.in_redis(SEARCH) == {"settled_tokens": 30, "settled_nano_usd": 300}
    assert world.told.events == [Degraded("ledger_file", f"{file}:2: `at` is not a number")]


async def test_while_settlements_wait_for_redis_the_file_says_so(
    world: World, own_valkey: Callable[[], Valkey], tmp_path: Path
) -> None:
    valkey = own_valkey()
    client = connect(valkey.url, timeout_s=PATIENT_S)
    inner = RedisLedger(client, world.clock, world.told, timeout_s=PATIENT_S)
    file = LedgerFile(tmp_path, world.clock, world.told, max_file_bytes=10_000, keep_days=3)
    journal = JournaledLedger(inner, file, world.clock, world.told)
    holds = [await journal.hold(f"req_{number}", SEARCH, bid(10)) for number in range(3)]
    valkey.kill()
    await journal.settle(holds[0], NOTHING)
    await journal.settle(holds[1], NOTHING)
    valkey.start()
    assert await inner.flush()
    await journal.settle(holds[2], NOTHING)
    assert [line["type"] for line in world.lines("settle", "behind", "even")] == [
        "settle", "behind", "settle", "settle", "even"
    ]  # fmt: skip
    await journal.stop()
    await client.aclose()


async def test_a_request_is_told_into_the_same_file(world: World) -> None:
    file = LedgerFile(world.folder, world.clock, world.told, max_file_bytes=10_000, keep_days=3)
    LedgerEvents(file, world.clock).tell(ANSWERED)
    file.flush()  # it lingers, for the next line to take it along
    (line,) = world.lines("request")
    assert (line["request_id"], line["cost_nano_usd"]) == ("req_1", 250_000_000)

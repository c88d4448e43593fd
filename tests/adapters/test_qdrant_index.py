"""Faults of a Qdrant server, against a small stub of its REST interface on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from qdrant_client import AsyncQdrantClient

from gateway.adapters.clock import SystemClock
from gateway.adapters.qdrant_index import QdrantIndex
from gateway.core.events import Degraded, Event, Recovered
from tests.fixtures.qdrant import QdrantStub
from tests.fixtures.semantic import EventList, HandClock

EAST = [1.0, 0.0, 0.0, 0.0]


@pytest.fixture
async def index(qdrant_stub: QdrantStub, hand_clock: HandClock, told: EventList) -> AsyncIterator[QdrantIndex]:
    made = QdrantIndex.connect(qdrant_stub.url, engine="test", dimensions=4, observer=told, clock=hand_clock)
    yield made
    await made.stop()


async def test_start_creates_the_collection_and_indexes_the_scope_as_the_tenant(
    index: QdrantIndex, qdrant_stub: QdrantStub
) -> None:
    await index.start()
    indexed = [body for _, path, body in qdrant_stub.asked if "/index" in path]
    assert {body["field_name"] for body in indexed} == {"scope", "expires_at", "owner", "key"}
    assert indexed[0]["field_schema"]["is_tenant"] is True
    assert index.collection == "thriftgate-test-4"


async def test_a_collection_that_is_there_is_left_alone(index: QdrantIndex, qdrant_stub: QdrantStub) -> None:
    qdrant_stub.exists = True
    await index.start()
    assert [method for method, _, _ in qdrant_stub.asked] == ["GET"]


async def test_the_scope_and_the_expiry_are_part_of_every_query(
    index: QdrantIndex, qdrant_stub: QdrantStub, hand_clock: HandClock
) -> None:
    await index.start()
    await index.nearest("mine", EAST, 0.95)
    must = qdrant_stub.asked[-1][2]["filter"]["must"]
    assert {"key": "scope", "match": {"value": "mine"}} in must
    assert {"key": "expires_at", "range": {"gt": hand_clock.now_s}} in must


@pytest.mark.parametrize("fault", [500, 404, 401, "hang"])
async def test_a_fault_is_a_miss_told_once_and_its_end_is_told_too(
    index: QdrantIndex, qdrant_stub: QdrantStub, told: EventList, hand_clock: HandClock, fault: int | str
) -> None:
    await index.start()
    await index.add("scope", EAST, "key", "a private prompt", 60)
    qdrant_stub.fault = fault
    for _ in range(3):
        assert await index.nearest("scope", EAST, 0.95) is None
    qdrant_stub.fault = None
    hand_clock.now_s += 2  # the breaker asks again
    assert await index.nearest("scope", EAST, 0.95) is not None
    assert [type(event) for event in told.events] == [Degraded, Recovered]
    assert "private" not in str(told.events)


async def test_a_server_that_is_down_at_the_start_is_told_and_used_when_it_is_back(
    index: QdrantIndex, qdrant_stub: QdrantStub, told: EventList
) -> None:
    qdrant_stub.fault = 503
    await index.start()
    qdrant_stub.fault = None
    await index.add("scope", EAST, "key", "text", 60)
    assert qdrant_stub.exists
    assert [type(event) for event in told.events] == [Degraded, Recovered]


async def test_a_collection_that_vanished_is_made_again_by_the_next_add(
    index: QdrantIndex, qdrant_stub: QdrantStub
) -> None:
    await index.start()
    qdrant_stub.exists = False
    assert await index.nearest("scope", EAST, 0.95) is None
    await index.add("scope", EAST, "key", "text", 60)
    assert await index.nearest("scope", EAST, 0.95) is not None


async def test_an_answer_that_is_not_ours_is_a_miss(
    index: QdrantIndex, qdrant_stub: QdrantStub, told: EventList
) -> None:
    await index.start()
    qdrant_stub.points["x"] = {"id": "x", "payload": {"written_by": "another program"}}
    assert await index.nearest("scope", EAST, 0.95) is None
    assert [type(event) for event in told.events] == [Degraded]


async def test_nobody_listening_is_a_miss(hand_clock: HandClock, told: EventList) -> None:
    client = AsyncQdrantClient(url="http://127.0.0.1:9", check_compatibility=False)
    index = QdrantIndex(client, engine="test", dimensions=4, observer=told, clock=hand_clock)
    await index.start()
    assert await index.nearest("scope", EAST, 0.95) is None
    await index.add("scope", EAST, "key", "text", 60)
    await index.stop()
    assert [type(event) for event in told.events] == [Degraded]


async def test_expired_points_are_deleted_now_and_then(index: QdrantIndex, qdrant_stub: QdrantStub) -> None:
    await index.start()
    for at in range(1_000):
        await index.add("scope", EAST, str(at), "text", 60)
    deletes = [body for _, path, body in qdrant_stub.asked if "/points/delete" in path]
    assert len(deletes) == 1
    assert "lte" in deletes[0]["filter"]["must"][0]["range"]


async def test_a_server_that_hangs_is_asked_three_times_and_then_left_alone_for_a_second(
    index: QdrantIndex, qdrant_stub: QdrantStub, hand_clock: HandClock
) -> None:
    await index.start()
    qdrant_stub.fault = "hang"
    before = len(qdrant_stub.asked)
    for _ in range(10):
        assert await index.nearest("scope", EAST, 0.95) is None
    assert len(qdrant_stub.asked) == before + 3
    qdrant_stub.fault = None
    hand_clock.now_s += 2
    await index.add("scope", EAST, "key", "text", 60)
    assert await index.nearest("scope", EAST, 0.95) is not None


async def test_a_server_that_refuses_is_not_left_alone(index: QdrantIndex, qdrant_stub: QdrantStub) -> None:
    await index.start()
    qdrant_stub.fault = 500
    before = len(qdrant_stub.asked)
    for _ in range(5):
        assert await index.nearest("scope", EAST, 0.95) is None
    assert len(qdrant_stub.asked) == before + 5


@dataclass
class Hearing(EventList):
    """Lets a test wait for the recovery."""

    recovered: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: Event, /) -> None:
        super().tell(event)
        if isinstance(event, Recovered):
            self.recovered.set()


async def test_while_the_breaker_is_open_no_look_up_is_the_one_that_asks_again(
    qdrant_stub: QdrantStub, hand_clock: HandClock
) -> None:
    told = Hearing()
    index = QdrantIndex.connect(qdrant_stub.url, engine="test", dimensions=4, observer=told, clock=hand_clock)
    await index.start()
    qdrant_stub.fault = "hang"
    for _ in range(3):
        assert await index.nearest("scope", EAST, 0.95) is None
    before = len(qdrant_stub.asked)
    hand_clock.now_s += 0.9
    while len(qdrant_stub.asked) < before + 2:  # the index's own task asks, and the second time the first has failed
        qdrant_stub.arrived.clear()
        await qdrant_stub.arrived.wait()
    hand_clock.now_s += 0.9
    assert await index.nearest("scope", EAST, 0.95) is None
    assert {path.rpartition("/")[2] for _, path, _ in qdrant_stub.asked[before:]} == {"exists"}
    qdrant_stub.fault = None
    await told.recovered.wait()
    await index.stop()


async def test_storing_slowly_does_not_close_a_breaker_that_look_ups_have_opened(
    qdrant_stub: QdrantStub, told: EventList
) -> None:
    """It takes 0.2 s, and a look-up is given up on after 0.05 s."""
    index = QdrantIndex.connect(qdrant_stub.url, engine="test", dimensions=4, observer=told, clock=SystemClock())
    await index.start()
    qdrant_stub.fault = "slow"
    adding = asyncio.ensure_future(index.add("scope", EAST, "key", "text", 60))
    for _ in range(3):
        assert await index.nearest("scope", EAST, 0.95) is None
    assert await adding
    asked = [path for _, path, _ in qdrant_stub.asked if path.endswith("/query")]
    assert await index.nearest("scope", EAST, 0.95) is None
    assert [path for _, path, _ in qdrant_stub.asked if path.endswith("/query")] == asked
    await index.stop()

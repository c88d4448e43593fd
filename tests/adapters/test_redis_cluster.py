"""The same adapters on a Redis Cluster of three nodes: every script's keys are in one slot, wherever that is."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import RedisCluster

from gateway.adapters.clock import SystemClock
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.redis_cache import RedisCache
from gateway.adapters.redis_client import connect
from gateway.adapters.redis_ledger import RedisLedger
from gateway.core.budget import Amount, Bid, Budget, Payer
from gateway.core.errors import BudgetExceeded
from gateway.core.events import BudgetLevel
from gateway.core.window import WindowRule
from gateway.ports import Hold
from tests.fixtures.semantic import EventList
from tests.fixtures.state import PATIENT_S, Valkey

SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def form(ports: list[int], bus_ports: list[int]) -> None:
    """Give each node its slots, introduce them, and wait until all agree."""
    nodes = [BlockingRedis(port=port) for port in ports]
    for node, (first, last) in zip(nodes, SLOTS, strict=True):
        node.cluster("ADDSLOTSRANGE", first, last)
        node.cluster("MEET", "127.0.0.1", ports[0], bus_ports[0])
    for node in nodes:
        while (state := node.cluster("INFO"))["cluster_state"] != "ok" or state["cluster_known_nodes"] != "3":
            time.sleep(0.01)  # the nodes tell nobody when they agree
        node.close()


@pytest.fixture
async def cluster(own_valkey: Callable[..., Valkey]) -> AsyncIterator[RedisCluster]:
    ports, bus_ports = free_ports(3), free_ports(3)
    for port, bus_port in zip(ports, bus_ports, strict=True):
        options = {"bind": "127.0.0.1", "port": port, "cluster-enabled": "yes", "cluster-port": bus_port}
        own_valkey(*(word for name, value in options.items() for word in (f"--{name}", str(value))))
    await asyncio.to_thread(form, ports, bus_ports)
    client = connect(f"redis+cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}", timeout_s=PATIENT_S)
    assert isinstance(client, RedisCluster)
    yield client
    await client.aclose()


async def test_budgets_hold_for_services_on_every_node(cluster: RedisCluster, told: EventList) -> None:
    ledger = RedisLedger(cluster, SystemClock(), told, lease_s=600, timeout_s=PATIENT_S)
    for service in map(str, range(12)):
        payer = Payer(service, service, (Budget(service, WindowRule("month"), tokens=100),))
        asked = (ledger.hold(str(n), payer, Bid(Amount(10))) for n in range(15))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        holds = [answer for answer in answers if isinstance(answer, Hold)]
        assert (len(holds), sum(isinstance(answer, BudgetExceeded) for answer in answers)) == (10, 5)
        for hold in holds:
            await ledger.settle(hold, Amount(7))
        assert [standing.used for standing in await ledger.standing(payer)] == [Amount(70)]
    sizes = await cluster.dbsize(target_nodes=RedisCluster.PRIMARIES)
    assert sizes == 12 * 4
    assert {type(event) for event in told.events} == {BudgetLevel}


async def test_many_commands_may_meet_a_client_that_was_never_used(cluster: RedisCluster) -> None:
    assert await asyncio.gather(*(_get(cluster, str(number)) for number in range(50))) == [None] * 50


async def test_the_cache_finds_every_key_on_its_node(cluster: RedisCluster, told: EventList) -> None:
    clock = SystemClock()
    one, other = (RedisCache(cluster, MemoryCache(clock), clock, told, timeout_s=PATIENT_S) for _ in range(2))
    for key in map(str, range(30)):
        await one.put(key, key.encode(), 60)
    await one.flush()
    assert [await other.get(key) for key in map(str, range(30))] == [key.encode() for key in map(str, range(30))]
    assert told.events == []


async def _get(client: RedisCluster, key: str) -> object:
    return await client.get(key)

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.redis_client import RedisClient, connect
from gateway.adapters.redis_door import LEASE_S, RedisDoor
from gateway.adapters.redis_keys import door_keys
from gateway.core.breaker import Breaker
from gateway.core.errors import LimitExceeded
from gateway.core.events import Degraded, Recovered
from gateway.core.limits import Limits, Rate
from gateway.core.service import Service
from gateway.ports import Entry
from tests.fixtures.ledger import text
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S, Valkey

ONE_AT_ONCE = Service("shop", limits=Limits(concurrency=1))
THREE_A_MINUTE = Service("shop", limits=Limits(requests_per_minute=3))
NOW_MS = 4_102_444_800_250


@pytest.fixture
def new_door(redis_client: RedisClient, hand_clock: HandClock, told: EventList) -> Callable[[], RedisDoor]:
    """Doors of several gateways on one Redis, whose clock stands still."""
    return lambda: RedisDoor(redis_client, hand_clock, told, timeout_s=PATIENT_S, server_ms=lambda: NOW_MS)


@pytest.fixture
def door(new_door: Callable[[], RedisDoor]) -> RedisDoor:
    return new_door()


async def refused(door: RedisDoor, id: str, service: Service) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        await door.enter(id, service)
    return caught.value


async def commands(client: RedisClient) -> Counter[str]:
    """How often each was called since the start, also by scripts, but for the one that asks."""
    stats = await client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items() if "info" not in name})


async def test_a_service_without_limits_costs_not_one_command(door: RedisDoor, redis_client: RedisClient) -> None:
    before = await commands(redis_client)
    for number in range(100):
        door.leave(await door.enter(str(number), Service("free")))
    await door.give_back()
    await door.renew()
    assert await commands(redis_client) - before == Counter()


async def test_coming_in_is_one_call_and_leaving_another(door: RedisDoor, redis_client: RedisClient) -> None:
    door.leave(await door.enter("loads the script", THREE_A_MINUTE))
    await door.give_back()
    before = await commands(redis_client)
    door.leave(await door.enter("a", THREE_A_MINUTE))
    await door.give_back()
    asked = await commands(redis_client) - before
    assert {name: asked[name] for name in ("evalsha", "eval", "zrem")} == {"evalsha": 1, "eval": 0, "zrem": 1}


async def test_a_rate_refusal_names_the_limit_and_the_moment(door: RedisDoor) -> None:
    entries = [await door.enter(str(number), THREE_A_MINUTE) for number in range(3)]
    assert [entry.rate for entry in entries] == [Rate(3, left, 60.75) for left in (2, 1, 0)]
    refusal = await refused(door, "d", THREE_A_MINUTE)
    assert (refusal.retry_after_s, refusal.rate) == (60.75, Rate(3, 0, 60.75))
    assert refusal.message == (
        "Service 'shop' may make 3 requests a minute (`limits.requests_per_minute`); "
        "there is room for the next one in 60.75 s."
    )


async def test_a_concurrency_refusal_names_the_limit(door: RedisDoor) -> None:
    await door.enter("a", ONE_AT_ONCE)
    refusal = await refused(door, "b", ONE_AT_ONCE)
    assert (refusal.retry_after_s, refusal.rate) == (1.0, None)
    assert "may make 1 requests at once (`limits.concurrency`)" in refusal.message


async def test_replicas_share_the_limits(new_door: Callable[[], RedisDoor]) -> None:
    here, there = new_door(), new_door()
    entry = await here.enter("a", ONE_AT_ONCE)
    await refused(there, "b", ONE_AT_ONCE)
    here.leave(entry)
    await here.give_back()
    await there.enter("b", ONE_AT_ONCE)


async def test_who_asks_again_as_soon_as_it_has_its_answer_finds_its_slot_free(door: RedisDoor) -> None:
    """Nothing has been given back yet: the next entry takes the news along."""
    for number in range(5):
        door.leave(await door.enter(str(number), ONE_AT_ONCE))


async def test_while_started_slots_are_given_back_by_themselves(new_door: Callable[[], RedisDoor]) -> None:
    here, there = new_door(), new_door()
    here.start()
    here.leave(await here.enter("a", ONE_AT_ONCE))
    while True:
        try:
            await there.enter("b", ONE_AT_ONCE)
            break
        except LimitExceeded:
            await asyncio.sleep(0)
    await here.stop()


async def test_stopping_gives_back_what_has_left(new_door: Callable[[], RedisDoor]) -> None:
    here, there = new_door(), new_door()
    here.leave(await here.enter("a", ONE_AT_ONCE))
    await here.stop()
    await there.enter("b", ONE_AT_ONCE)


async def test_a_request_that_is_cancelled_at_the_door_holds_no_slot(
    own_valkey: Callable[..., Valkey], hand_clock: HandClock, told: EventList
) -> None:
    valkey = own_valkey()
    client = connect(valkey.url, timeout_s=PATIENT_S)
    door = RedisDoor(client, hand_clock, told, timeout_s=PATIENT_S)
    door.leave(await door.enter("connects", ONE_AT_ONCE))
    valkey.freeze()
    entering = asyncio.ensure_future(door.enter("a", ONE_AT_ONCE))
    await asyncio.sleep(0.1)  # the command is in the socket's buffer; nothing tells when
    entering.cancel()
    await asyncio.wait([entering])
    valkey.thaw()
    await door.enter("b", ONE_AT_ONCE)
    await client.aclose()


async def test_every_key_of_the_door_lives_for_a_while_only(door: RedisDoor, redis_client: RedisClient) -> None:
    await door.enter("a", Service("shop", limits=Limits(3, 3)))
    keys = door_keys("shop")
    assert 0 < await redis_client.pttl(keys.slots) <= LEASE_S * 1000
    assert LEASE_S < await redis_client.ttl(keys.admitted) <= 121
    await door.renew()
    assert {text(key) for key in await redis_client.keys()} == {keys.admitted, keys.slots}


async def test_kill_9_frees_the_slot_when_its_lease_ends(
    redis_url: str, redis_client: RedisClient, hand_clock: HandClock, told: EventList
) -> None:
    program = (
        "import asyncio\n"
        "from tests.adapters.test_redis_door import comes_in_and_stays\n"
        f"asyncio.run(comes_in_and_stays({redis_url!r}))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"inside\n"
    process.kill()
    await process.wait()
    ahead_s = 0.0
    door = RedisDoor(
        redis_client, hand_clock, told, timeout_s=PATIENT_S, server_ms=lambda: int((time.time() + ahead_s) * 1000)
    )
    await refused(door, "next", ONE_AT_ONCE)
    ahead_s = LEASE_S
    await door.enter("next", ONE_AT_ONCE)


async def comes_in_and_stays(url: str) -> None:
    """What the process above does until it is killed."""
    door = RedisDoor(connect(url, timeout_s=PATIENT_S), SystemClock(), EventList(), timeout_s=PATIENT_S)
    await door.enter("killed", ONE_AT_ONCE)
    sys.stdout.write("inside\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


@pytest.fixture
async def broken(
    own_valkey: Callable[..., Valkey], hand_clock: HandClock, told: EventList
) -> AsyncIterator[tuple[Valkey, RedisDoor, RedisDoor]]:
    """A server for a test to break, a door with the waits of production, and a patient one to look through."""
    valkey = own_valkey()
    client, patient = connect(valkey.url), connect(valkey.url, timeout_s=PATIENT_S)
    door = RedisDoor(client, hand_clock, told, breaker=Breaker(threshold=1, open_s=5.0))
    yield valkey, door, RedisDoor(patient, hand_clock, EventList(), timeout_s=PATIENT_S)
    await client.aclose()
    await patient.aclose()


async def test_without_redis_a_process_limits_itself_by_what_it_has_let_in_before(
    broken: tuple[Valkey, RedisDoor, RedisDoor], told: EventList, hand_clock: HandClock
) -> None:
    valkey, door, _ = broken
    door.leave(await door.enter("a", THREE_A_MINUTE))
    valkey.freeze()
    entries = [await door.enter(id, THREE_A_MINUTE) for id in "bc"]
    assert [entry.rate and entry.rate.remaining for entry in entries] == [1, 0]
    refusal = await refused(door, "d", THREE_A_MINUTE)
    assert [type(event) for event in told.events] == [Degraded]
    assert refusal.retry_after_s is not None
    hand_clock.now_s += refusal.retry_after_s
    await door.enter("e", THREE_A_MINUTE)


async def test_requests_let_in_without_redis_have_their_slots_when_it_is_back(
    broken: tuple[Valkey, RedisDoor, RedisDoor], told: EventList, hand_clock: HandClock
) -> None:
    valkey, door, elsewhere = broken
    valkey.kill()
    entry = await door.enter("a", ONE_AT_ONCE)
    await refused(door, "b", ONE_AT_ONCE)
    valkey.start()
    while Recovered("limits") not in told.events:
        hand_clock.now_s += 5.0
        await door.renew()
    await refused(elsewhere, "c", ONE_AT_ONCE)
    door.leave(entry)
    await door.give_back()
    await elsewhere.enter("c", ONE_AT_ONCE)


async def test_slots_that_could_not_be_given_back_are_given_back_with_the_next_renewal(
    broken: tuple[Valkey, RedisDoor, RedisDoor], told: EventList, hand_clock: HandClock
) -> None:
    valkey, door, elsewhere = broken
    entry = await door.enter("a", ONE_AT_ONCE)
    valkey.freeze()
    door.leave(entry)
    await door.give_back()
    valkey.thaw()
    while Recovered("limits") not in told.events:
        hand_clock.now_s += 5.0
        await door.renew()
    await elsewhere.enter("b", ONE_AT_ONCE)


async def test_leaving_twice_or_without_having_come_in_changes_nothing(door: RedisDoor) -> None:
    entry = await door.enter("a", ONE_AT_ONCE)
    door.leave(Entry("b", "shop"))
    await door.give_back()
    await refused(door, "c", ONE_AT_ONCE)
    door.leave(entry)
    door.leave(entry)
    await door.enter("c", ONE_AT_ONCE)

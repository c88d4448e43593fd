from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.redis_client import NotAsked, RedisClient, Refused, Unanswered, connect
from gateway.adapters.redis_link import RedisLink
from gateway.core.breaker import Breaker
from gateway.core.events import Degraded, Recovered
from tests.fixtures.semantic import EventList, HandClock
from tests.fixtures.state import PATIENT_S, Valkey


async def test_a_reply_that_our_own_busy_loop_left_unread_is_asked_for_again(
    redis_client: RedisClient, told: EventList
) -> None:
    link = RedisLink(redis_client, "ledger", SystemClock(), told, timeout_s=1.0, breaker=Breaker(threshold=1))
    await redis_client.set("a", b"1", ex=60)
    asked = asyncio.create_task(link.call("read", lambda: redis_client.get("a")))
    while not asked.done():
        await asyncio.sleep(0)
        time.sleep(1.5)  # noqa: ASYNC251 - the fault under test: something blocks the loop for longer than the time-out
        await asked
    assert asked.result() == b"1"
    assert told.events == []


async def test_a_refusal_is_told_once_and_mended_by_the_next_answer_of_its_sort(
    redis_client: RedisClient, hand_clock: HandClock, told: EventList
) -> None:
    link = RedisLink(redis_client, "ledger", hand_clock, told, timeout_s=PATIENT_S)
    await redis_client.set("a", b"1", ex=60)
    for _ in range(5):
        with pytest.raises(Refused):
            await link.call("write", lambda: redis_client.hset("a", "field", "value"))
        await link.call("read", lambda: redis_client.get("a"))
    assert told.events == [Degraded("ledger", "write refused: ResponseError")]
    await link.call("write", lambda: redis_client.set("a", b"2", ex=60))
    assert told.events[1:] == [Recovered("ledger")]


async def test_while_the_breaker_is_open_nothing_is_sent(
    own_valkey: Callable[..., Valkey], hand_clock: HandClock, told: EventList
) -> None:
    valkey = own_valkey()
    client = connect(valkey.url)
    link = RedisLink(client, "ledger", hand_clock, told, breaker=Breaker(threshold=1, open_s=5.0))
    valkey.freeze()
    with pytest.raises(Unanswered):
        await link.call("read", client.ping)
    valkey.thaw()
    with pytest.raises(NotAsked):
        await link.call("read", client.ping)
    assert link.wait_s() == 5.0
    await client.aclose()


async def test_calls_that_wait_their_turn_are_not_sent_once_the_breaker_opened(
    own_valkey: Callable[..., Valkey], hand_clock: HandClock, told: EventList
) -> None:
    valkey = own_valkey()
    client = connect(valkey.url)
    link = RedisLink(client, "ledger", hand_clock, told)
    valkey.freeze()
    outcomes = await asyncio.gather(*(link.call("read", client.ping) for _ in range(200)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unanswered, NotAsked}
    # 8 at once, and the two whose turn came between the first time-out and the third, which opened it.
    assert sum(type(outcome) is Unanswered for outcome in outcomes) <= 10
    await client.aclose()

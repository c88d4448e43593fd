"""Waits that end late, and waits that somebody else ends."""

from __future__ import annotations

import asyncio

import pytest

from gateway.adapters.deadline import AttemptClock, DeadlineWatch
from gateway.core.deadlines import Deadlines
from gateway.core.errors import UpstreamTimeout


def clock(watch: DeadlineWatch, total_s: float) -> AttemptClock:
    return AttemptClock(watch, Deadlines(total_s=total_s), whole=True)


async def test_one_watch_ends_every_wait_at_its_own_deadline() -> None:
    watch = DeadlineWatch()
    never = asyncio.get_running_loop().create_future()
    soon = [asyncio.ensure_future(clock(watch, 0.01).wait_for(asyncio.shield(never))) for _ in range(3)]
    later = asyncio.ensure_future(clock(watch, 60).wait_for(asyncio.shield(never)))
    ended = await asyncio.gather(*soon, return_exceptions=True)
    assert [type(one) for one in ended] == [UpstreamTimeout] * 3
    assert not later.done()
    never.set_result(7)
    assert await later == 7


async def test_the_message_says_which_deadline_it_was() -> None:
    never = asyncio.get_running_loop().create_future()
    limits = Deadlines(first_token_s=0.01, between_tokens_s=0.02, total_s=60)
    watched = AttemptClock(DeadlineWatch(), limits, whole=False)
    with pytest.raises(UpstreamTimeout, match=r"0\.01 s \(first token\)"):
        await watched.wait_for(asyncio.shield(never))
    watched.token()
    with pytest.raises(UpstreamTimeout, match=r"0\.02 s \(between tokens\)"):
        await watched.wait_for(asyncio.shield(never))


async def test_time_in_which_nobody_waits_for_the_provider_is_not_held_against_it() -> None:
    watched = AttemptClock(DeadlineWatch(), Deadlines(), whole=False)
    await watched.wait_for(asyncio.sleep(0))
    watched.at_s = 0.0  # has passed, while the answer's reader was busy with something else
    looked = asyncio.Event()
    asyncio.get_running_loop().call_later(0.12, looked.set)  # twice
    await looked.wait()
    watched.token()
    await watched.wait_for(asyncio.sleep(0))


async def test_a_cancellation_from_outside_is_no_deadline_also_after_one_was_missed() -> None:
    late = clock(DeadlineWatch(), 0.01)
    waits = asyncio.Event()

    async def wait() -> None:
        never = asyncio.get_running_loop().create_future()
        with pytest.raises(UpstreamTimeout):
            await late.wait_for(never)
        late.at_s += 60
        waits.set()
        await late.wait_for(asyncio.get_running_loop().create_future())

    task = asyncio.ensure_future(wait())
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_together_with_a_missed_deadline_is_cancelled() -> None:
    late = clock(DeadlineWatch(), 60)
    task = asyncio.ensure_future(late.wait_for(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    late.miss()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.core.chunks import Chunk, assemble
from gateway.core.errors import Unavailable, UpstreamCut, UpstreamRejected
from gateway.core.events import RequestFinished
from gateway.core.options import Options
from gateway.flow import shared_flight
from gateway.flow.call import Call
from gateway.flow.shared_flight import AT_ONCE_CHUNKS
from gateway.http.departure import Departure, Loss
from tests.flow.asking import Script, Walk, call, heard, walk

MANY = 200


def finished(asking: Walk) -> list[RequestFinished]:
    return [event for event in asking.told.events if isinstance(event, RequestFinished)]


async def test_equal_questions_look_up_once_and_fly_once() -> None:
    asking = walk(Script())
    answers = await asyncio.gather(
        *(asking.whole(call(str(at))) if at % 2 else asking.streamed(call(str(at))) for at in range(MANY))
    )
    assert set(answers) == {"Hello world"}
    assert asking.shelf.gets == len(asking.provider.asked) == len(asking.books.settled) == 1
    assert len(finished(asking)) == MANY
    assert len(asking.questions) == 0


async def test_questions_that_differ_in_anything_fly_apart() -> None:
    asking = walk(Script())
    calls = [
        call("1"),
        call("2", "Hello!"),
        call("3", service="b"),
        call("4", temperature=0.5),
        call("5", options=Options(namespace="n")),
        call("6", options=Options(cache="read-only")),
        call("7", options=Options(ttl_s=5)),
        call("8", options=Options(fallback=False)),
    ]
    await asyncio.gather(*map(asking.whole, calls))
    assert len(asking.provider.asked) == len(calls)


@pytest.mark.parametrize("mode", ["off", "refresh"])
async def test_who_wants_no_stored_answer_flies_alone(mode: str) -> None:
    asking = walk(Script())
    options = Options(cache=mode)  # type: ignore[arg-type]  # a parametrized Literal
    await asyncio.gather(*(asking.whole(call(str(at), options=options)) for at in range(5)))
    assert len(asking.provider.asked) == 5
    assert len(asking.questions) == 0


async def test_whoever_comes_in_any_turn_of_the_loop_never_pays_again() -> None:
    asking = walk(Script(ticks=asyncio.Semaphore(2)))
    running = []
    for at in range(60):  # before, during, between landing and storing, and after
        running.append(asyncio.ensure_future(asking.whole(call(str(at)))))
        await asyncio.sleep(0)
    assert set(await asyncio.gather(*running)) == {"Hello world"}
    assert len(asking.provider.asked) == 1
    assert {event.cache for event in finished(asking)} == {"miss", "joined", "hit"}


async def test_beyond_the_cap_requests_fly_alone_and_nothing_is_kept() -> None:
    asking = walk(Script(), max_questions=1)
    texts = ["one", "two", "two"]
    await asyncio.gather(*(asking.whole(call(str(at), text)) for at, text in enumerate(texts)))
    assert len(asking.provider.asked) == 3
    assert len(asking.questions) == 0


async def test_the_flight_is_closed_and_charged_when_the_last_reader_leaves_and_not_before() -> None:
    asking = walk(Script(("a", "b"), ticks=asyncio.Semaphore(1)))
    async with asking.pipeline.serve(call("1")):
        async with asking.pipeline.serve(call("2")):
            pass
        assert asking.provider.closed == 0
    assert asking.provider.closed == 1
    assert [event.cache for event in finished(asking)] == ["joined", "miss"]
    assert [service for service, _ in asking.books.settled] == ["a"]
    assert len(asking.questions) == 0


async def test_a_request_that_comes_after_everybody_left_flies_anew() -> None:
    asking = walk(Script(ticks=asyncio.Semaphore(1)))
    async with asking.pipeline.serve(call("1")):
        pass
    assert asking.provider.ticks is not None
    for _ in range(2):
        asking.provider.ticks.release()
    assert await asking.whole(call("2")) == "Hello world"
    assert len(asking.provider.asked) == 2


async def test_the_first_reader_is_told_of_when_its_bill_is_known() -> None:
    ticks, loss = asyncio.Semaphore(1), Loss()
    asking = walk(Script(ticks=ticks))
    first = asyncio.ensure_future(at_http(asking, call("1"), loss))
    await asking.provider.arrived.wait()
    async with asking.pipeline.serve(call("2")) as second:
        loss.happen()
        await asking.settles_down()
        assert finished(asking) == []
        ticks.release()
        await second.whole()
    assert await first is None
    told = {event.request_id: event for event in finished(asking)}
    assert (told["1"].outcome, told["2"].outcome) == ("client_disconnect", "ok")
    assert told["1"].usage.total_tokens == 3
    assert told["1"].cost_usd > told["2"].cost_usd == 0
    assert told["2"].saved_by == "single_flight"


async def test_a_reader_may_leave_before_the_flight_takes_off() -> None:
    ticks, losses = asyncio.Semaphore(0), [Loss() for _ in range(3)]
    asking = walk(Script(ticks=ticks))
    readers = [asyncio.ensure_future(at_http(asking, call(str(at)), loss)) for at, loss in enumerate(losses)]
    await asking.settles_down()
    losses[0].happen()
    for _ in range(2):
        ticks.release()
    assert await asyncio.gather(*readers) == [None, "Hello world", "Hello world"]
    assert len(asking.provider.asked) == 1


async def test_everybody_hears_what_kept_a_flight_on_the_ground() -> None:
    asking = walk(Script((), failure=UpstreamRejected("No.", reached=True)))
    failures = await asyncio.gather(*(asking.whole(call(str(at))) for at in range(5)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [UpstreamRejected] * 5
    assert {event.error_code for event in finished(asking)} == {"upstream_rejected"}
    assert len(asking.questions) == 0


async def test_everybody_hears_the_beginning_of_an_answer_that_breaks_off() -> None:
    ticks = asyncio.Semaphore(1)
    asking = walk(Script(failure=UpstreamCut("cut", reached=True), ticks=ticks))
    said: list[str] = []

    async def listen(id: str) -> None:
        async with asking.pipeline.serve(call(id)) as answer:
            while chunks := await answer.more():
                said.extend(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
                if len(said) == 5:
                    ticks.release()

    failures = await asyncio.gather(*(listen(str(at)) for at in range(5)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [UpstreamCut] * 5
    assert sorted(said) == [" world"] * 5 + ["Hello"] * 5
    assert len(asking.books.settled) == 1


async def test_all_readers_hear_the_same_chunks() -> None:
    asking = walk(Script())

    async def hear(id: str) -> list[Chunk]:
        async with asking.pipeline.serve(call(id)) as answer:
            return await heard(answer)

    first, *others = await asyncio.gather(*(hear(str(at)) for at in range(3)))
    assert others == [first, first]


async def test_a_flight_keeps_the_pace_of_its_fastest_reader() -> None:
    asking = walk(Script(("x",) * 2_000))
    async with asking.pipeline.serve(call("1")) as slow:
        assert len(await slow.more()) == 1
        await asking.settles_down()
        assert asking.provider.produced == 1
        assert await asking.streamed(call("2")) == "x" * 2_000
        assert len(await heard(slow)) == 2_001
    assert len(asking.provider.asked) == 1


async def test_who_boards_late_hears_the_beginning_in_portions_that_keep_nobody_waiting() -> None:
    asking = walk(Script(("x",) * 2 * AT_ONCE_CHUNKS))
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(asking.pipeline.serve(call("1")))
        late = await stack.enter_async_context(asking.pipeline.serve(call("2")))
        said = await heard(first)
        portions = [await late.more() for _ in range(3)]
        assert [len(portion) for portion in portions] == [AT_ONCE_CHUNKS, AT_ONCE_CHUNKS, 2]
        assert [chunk for portion in portions for chunk in portion] == said
        assert not await late.more()


async def test_a_reader_too_far_behind_is_told_so_and_newcomers_fly_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_flight, "KEEP_CHUNKS", 500)
    asking = walk(Script(("x",) * 2_000))
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(asking.pipeline.serve(call("1")))
        await slow.more()
        fast = await stack.enter_async_context(asking.pipeline.serve(call("2")))
        assert len(await heard(fast)) == 2_002
        with pytest.raises(Unavailable, match="too slowly"):
            await slow.more()
    assert len(asking.provider.asked) == 1


def departure_at(loss: Loss) -> Departure:
    task = asyncio.current_task()
    assert task is not None
    return Departure(loss, task)


async def at_http(asking: Walk, call: Call, loss: Loss) -> str | None:
    """As a hot route asks: inside a departure. None: the client has left."""
    with departure_at(loss) as departure:
        async with asking.pipeline.serve(call, departure) as answer:
            completion = assemble(await heard(answer)) if call.chat.stream else await answer.whole()
            content: str = completion["choices"][0]["message"]["content"]
            return content
    return None


WHOLE_OR_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@WHOLE_OR_STREAMED
async def test_a_request_flies_its_answer_in_its_own_task(stream: bool) -> None:
    ticks = asyncio.Semaphore(0)
    asking = walk(Script(ticks=ticks))
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(at_http(asking, call("1", stream=stream), Loss()))
    await asking.provider.arrived.wait()
    assert asyncio.all_tasks() - before == {task}
    for _ in range(2):
        ticks.release()
    assert await task == "Hello world"


@pytest.mark.parametrize("heard_words", [0, 1])
@WHOLE_OR_STREAMED
async def test_whose_client_leaves_flies_on_for_who_is_aboard(stream: bool, heard_words: int) -> None:
    ticks, loss = asyncio.Semaphore(heard_words), Loss()
    asking = walk(Script(ticks=ticks))
    first = asyncio.ensure_future(at_http(asking, call("1", stream=stream), loss))
    await asking.provider.arrived.wait()
    second = asyncio.ensure_future(at_http(asking, call("2", stream=stream), Loss()))
    await asking.settles_down()
    loss.happen()
    await asking.settles_down()
    for _ in range(2):
        ticks.release()
    assert await second == "Hello world"
    assert await first is None
    assert len(asking.provider.asked) == 1
    told = {event.request_id: event for event in finished(asking)}
    assert (told["1"].outcome, told["2"].outcome) == ("client_disconnect", "ok")
    assert told["1"].cost_usd > told["2"].cost_usd == 0


async def test_who_leaves_a_stream_between_two_chunks_is_not_waited_for() -> None:
    asking = walk(Script())
    loss, left = Loss(), asyncio.Event()

    async def reads_slowly() -> None:
        with departure_at(loss) as departure:
            async with asking.pipeline.serve(call("1"), departure) as it:
                await it.more()
                left.set()
                await asyncio.Event().wait()

    first = asyncio.ensure_future(reads_slowly())
    await left.wait()
    async with asking.pipeline.serve(call("2")) as second:
        loss.happen()
        await first
        assert asking.provider.closed == 0
        assert assemble(await heard(second))["choices"][0]["message"]["content"] == "Hello world"
    assert len(asking.provider.asked) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@WHOLE_OR_STREAMED
async def test_with_the_last_client_a_flight_ends_too(stream: bool, order: tuple[int, int]) -> None:
    losses = (Loss(), Loss())
    asking = walk(Script(ticks=asyncio.Semaphore(0)))
    first = asyncio.ensure_future(at_http(asking, call("1", stream=stream), losses[0]))
    await asking.provider.arrived.wait()
    second = asyncio.ensure_future(at_http(asking, call("2", stream=stream), losses[1]))
    await asking.settles_down()
    for nth in order:
        assert asking.provider.closed == 0
        losses[nth].happen()
        await asking.settles_down()
    assert [await first, await second] == [None, None]
    assert asking.provider.closed == len(asking.provider.asked) == len(asking.books.settled) == 1
    assert [event.outcome for event in finished(asking)] == ["client_disconnect"] * 2


@WHOLE_OR_STREAMED
async def test_a_task_that_is_cancelled_with_readers_aboard_tells_them_of_the_shutdown(stream: bool) -> None:
    asking = walk(Script(ticks=asyncio.Semaphore(0)))
    first = asyncio.ensure_future(at_http(asking, call("1", stream=stream), Loss()))
    await asking.provider.arrived.wait()
    second = asyncio.ensure_future(at_http(asking, call("2", stream=stream), Loss()))
    await asking.settles_down()
    first.cancel()
    with pytest.raises(Unavailable):
        await second
    assert first.cancelled()
    assert asking.provider.closed == len(asking.books.settled) == 1

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests import loopback
from tests.loopback import Upstream
from tests.loopback.asking import ask, events, opened

BODY: dict[str, Any] = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "one two three"}]}
STREAM = {**BODY, "stream": True}


async def test_steps_are_played_in_order_and_then_the_echo_again(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Answer("first"), loopback.Refuse(503))
    answers = [await ask(openai_upstream, BODY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 503, 200]
    assert answers[2].json()["choices"][0]["message"]["content"] == "You said: one two three"


async def test_a_refused_request_uses_no_step(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Answer("kept"))
    await ask(openai_upstream, {**BODY, "odd": 1})
    assert "kept" in (await ask(openai_upstream, BODY)).text


async def test_always_answers_whatever_is_not_scripted(openai_upstream: Upstream) -> None:
    openai_upstream.always(loopback.rate_limited(2))
    for _ in range(2):
        response = await ask(openai_upstream, BODY)
        assert (response.status_code, response.headers["retry-after"]) == (429, "2")


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_a_cut_breaks_the_response(openai_upstream: Upstream, body: dict[str, Any], reset: bool) -> None:
    openai_upstream.script(loopback.Cut(2, reset=reset))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await ask(openai_upstream, body)
    assert openai_upstream.requests[0].produced_tokens == 2
    assert not openai_upstream.requests[0].completed.is_set()


async def test_hanging_up_answers_nothing(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.HangUp())
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(openai_upstream, BODY)


async def test_an_unfinished_stream_is_whole_for_http_and_lacks_its_terminal_event(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Unfinished(), loopback.Unfinished(1))
    no_done, early = await ask(openai_upstream, STREAM), await ask(openai_upstream, STREAM)
    assert events(no_done)[-1]["choices"][0]["finish_reason"] == "stop"
    assert "[DONE]" not in no_done.text
    assert len(events(early)) == 2


@pytest.mark.parametrize("step", [loopback.Stall(1), loopback.Silence(), loopback.Silence(head_bytes=20)], ids=repr)
async def test_a_client_that_leaves_is_noticed(openai_upstream: Upstream, step: loopback.Step) -> None:
    openai_upstream.script(step)
    asking = asyncio.ensure_future(ask(openai_upstream, STREAM))
    request = await openai_upstream.arrival()
    asking.cancel()
    await request.disconnected.wait()
    assert not request.completed.is_set()


async def test_a_complete_answer_is_no_disconnect(openai_upstream: Upstream) -> None:
    await ask(openai_upstream, STREAM)
    request = openai_upstream.requests[0]
    assert request.completed.is_set()
    assert not request.disconnected.is_set()


async def test_a_gated_stream_sends_one_token_for_each_tick(openai_upstream: Upstream) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.script(loopback.Gated(ticks))
    async with opened(openai_upstream, STREAM) as response:
        lines = response.aiter_lines()
        seen = ""
        for word in ("You", "said:", "one"):
            ticks.release()
            while word not in seen:
                seen = await anext(lines)
        request = openai_upstream.requests[0]
        assert request.produced_tokens == 3
    await request.disconnected.wait()


async def test_keep_alives_come_before_the_answer(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.KeepAlives(2), loopback.KeepAlives(2))
    streamed, whole = await ask(openai_upstream, STREAM), await ask(openai_upstream, BODY)
    assert streamed.text.startswith(": keep-alive\n\n: keep-alive\n\ndata: ")
    assert whole.text.startswith("\n\n{")
    assert whole.json()["object"] == "chat.completion"


async def test_inserted_bytes_stand_between_the_tokens(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Insert(b"data: {oops\n\n", after_tokens=1))
    text = (await ask(openai_upstream, STREAM)).text
    assert text.index("You") < text.index("{oops") < text.index("said:") < text.index("[DONE]")


async def test_a_gzipped_body_says_so(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Gzipped())
    response = await ask(openai_upstream, BODY)
    assert response.headers["content-encoding"] == "gzip"
    assert response.json()["choices"]


async def test_a_flood_is_as_long_as_it_says(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.Flood(1 << 20))
    assert len((await ask(openai_upstream, BODY)).content) == 1 << 20


async def test_a_redirect_names_its_trap(openai_upstream: Upstream) -> None:
    openai_upstream.script(loopback.redirect("http://127.0.0.1:9/trap"))
    response = await ask(openai_upstream, BODY)
    assert (response.status_code, response.headers["location"]) == (307, "http://127.0.0.1:9/trap")


async def test_requests_in_the_air_are_counted(openai_upstream: Upstream) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    asking = [asyncio.ensure_future(ask(openai_upstream, BODY)) for _ in range(3)]
    await openai_upstream.arrival(3)
    for _ in range(3000):
        ticks.release()
    await asyncio.gather(*asking)
    assert (openai_upstream.peak_in_flight, openai_upstream.in_flight) == (3, 0)

"""Checks 1 to 12: what an answer looks like, whole and streamed, and what happens when the client leaves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx
import pytest

from tests import loopback
from tests.checks.case import Case, frames, streamed, whole
from tests.fixtures.gateway import chat
from tests.loopback.exchange import Exchange

STRANGE = 'naïve 🗼 family: 👨‍👩‍👧\nsecond line\n\n"quoted" \\ back \u2028 separator\ndata: [DONE]\n\nafter'


async def test_01_a_plain_answer_is_a_full_object(case: Case) -> None:
    answer = await case.ask("Where is the Eiffel tower?")
    assert answer.object == "chat.completion"
    assert answer.id
    assert answer.created > 1_700_000_000
    assert answer.model
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "You said: Where is the Eiffel tower?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0


async def test_02_strange_text_survives(case: Case) -> None:
    answer = await case.ask(STRANGE)
    assert answer.choices[0].message.content == f"You said: {STRANGE}"


@streamed
async def test_03_a_stream_is_data_lines_and_one_done(case: Case) -> None:
    response = await case.wire()
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert [at for at, line in enumerate(lines) if line == "data: [DONE]"] == [len(lines) - 1]


@streamed
async def test_04_the_first_delta_has_the_role(case: Case) -> None:
    chunks = await case.chunks("Hello there")
    assert chunks[0].choices[0].delta.role == "assistant"


@streamed
async def test_05_one_id_one_model_one_finish_reason(case: Case) -> None:
    chunks = await case.chunks("Hello there")
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({chunk.model for chunk in chunks}) == 1
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].choices[0].finish_reason == "stop"


@streamed
async def test_06_no_usage_and_no_empty_choices_unless_asked(case: Case) -> None:
    for frame in frames(await case.wire()):
        assert frame["choices"]
        assert "usage" not in frame


@streamed
async def test_07_usage_comes_last_when_asked(case: Case) -> None:
    *chunks, last = frames(await case.wire(stream_options={"include_usage": True}))
    assert all(chunk["choices"] and chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] > 0


@streamed
async def test_08_a_stream_counts_what_a_whole_answer_counts(case: Case) -> None:
    case.upstream.always(loopback.Answer("Four words of text.", reasoning="Two words."))
    *_, last = frames(await case.wire(stream_options={"include_usage": True}, thriftgate={"cache": "off"}))
    other = await case.gateway.ask("Hello there", case.model, thriftgate={"cache": "off"})
    assert last["usage"] == other.json()["usage"]


@streamed
async def test_09_chunks_are_forwarded_as_they_come(case: Case) -> None:
    """Each token is released only when the one before it has been read."""
    ticks = asyncio.Semaphore(0)
    words = ["one", "two", "three", "four"]
    case.upstream.always(loopback.Gated(ticks, loopback.Answer(" ".join(words))))
    ticks.release()  # the gateway answers the client when the first token is there
    async with case.opened() as response:
        lines = response.aiter_lines()
        for word in words:
            while word not in await anext(lines):
                pass
            ticks.release()


@dataclass(frozen=True)
class Dribble:
    """A sound stream, one byte a write, with CRLF for line ends."""

    async def play(self, exchange: Exchange) -> None:
        frames = exchange.frames(loopback.Answer("Grüße aus 東京 🗼", (loopback.ToolCall("look", '{"at": "ü"}'),)))
        await exchange.begin(frames.content_type)
        for byte in b"".join(frames).replace(b"\n", b"\r\n"):
            await exchange.send(bytes((byte,)))
        await exchange.finish()


@streamed
async def test_10_a_stream_may_be_cut_at_any_byte_and_have_crlf(case: Case) -> None:
    case.upstream.always(Dribble())
    answer = await case.ask("Hello")
    assert answer.choices[0].message.content == "Grüße aus 東京 🗼"
    assert answer.choices[0].finish_reason == "tool_calls"


@streamed
@pytest.mark.parametrize("after_tokens", [0, 3])
async def test_11_leaving_a_stream_closes_the_upstream(case: Case, after_tokens: int) -> None:
    case.upstream.always(loopback.Stall(after_tokens))
    leaving = asyncio.ensure_future(_read_on(case))
    request = await case.upstream.arrival()
    leaving.cancel()
    await request.disconnected.wait()


async def _read_on(case: Case) -> None:
    async with case.opened() as response:
        await response.aread()


@whole
async def test_12_leaving_a_whole_answer_closes_the_upstream(case: Case) -> None:
    case.upstream.always(loopback.Silence())
    async with httpx.AsyncClient(base_url=case.gateway.url, trust_env=False, verify=False) as leaving:
        asking = asyncio.ensure_future(leaving.post("/v1/chat/completions", json=chat("Hello", case.model)))
        request = await case.upstream.arrival()
        asking.cancel()
        await request.disconnected.wait()

"""SIGTERM to a real process under load: what was accepted is answered whole or refused as an API refuses, and the
process ends with 0, in time, with nobody left behind."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest

from tests import loopback
from tests.fixtures.gateway import Config, chat
from tests.fixtures.process import Served
from tests.walk.test_first_day import children_of
from tests.walk.test_workers import SHOP, TERRA, configured, ended, gateway

CONNECTIONS = 12
ROUNDS = 3
ANSWER = loopback.Answer("word " * 19 + "end")
MORE_TICKS_THAN_CHUNKS = 100_000


@dataclass
class Heard:
    """What clients got until the gateway was gone. `unheard` are the questions whose connection ended before a byte
    of an answer: nobody may have begun with one."""

    whole: int = 0
    refused: list[httpx.Response] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    unheard: set[str] = field(default_factory=set)
    under_way: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self) -> None:
        self.whole += 1
        if self.whole == 2 * CONNECTIONS:
            self.under_way.set()


async def ask_until_gone(served: Served, name: str, heard: Heard, *, stream: bool) -> None:
    """One connection after the other, whole answers and streams, until nobody listens any more."""
    async with httpx.AsyncClient(
        base_url=served.url, headers=SHOP, timeout=60.0, trust_env=False, verify=False
    ) as http:
        for nth in range(10_000):
            text, answer = f"{name} {nth}", None
            body = chat(text, TERRA, stream=stream)
            try:
                async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
                    said = (await answer.aread()).decode()
            except httpx.TransportError as error:
                if answer is None:
                    heard.unheard.add(text)
                else:
                    heard.cut.append(repr(error))
                return
            judge(answer, said, stream, heard)


def judge(answer: httpx.Response, said: str, stream: bool, heard: Heard) -> None:
    if answer.status_code != 200:
        heard.refused.append(answer)
    elif stream and not said.endswith("data: [DONE]\n\n"):
        heard.cut.append(said[-200:])
    elif not stream and not orjson.loads(said)["choices"][0]["message"]["content"].endswith("end"):
        heard.cut.append(said)
    else:
        heard.answered()


def asked_of(upstream: loopback.Upstream) -> set[str]:
    return {request.body["messages"][-1]["content"] for request in upstream.requests}


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_under_load_cuts_nobody_and_ends_with_0(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, workers: int
) -> None:
    openai_upstream.always(ANSWER)
    file = configured(tmp_path, four_providers)
    for round_ in range(ROUNDS):
        heard = Heard()
        with gateway(file, workers) as served:
            processes = children_of(served.process.pid)
            clients = [
                asyncio.ensure_future(ask_until_gone(served, f"{round_} {n}", heard, stream=n % 2 == 1))
                for n in range(CONNECTIONS)
            ]
            await heard.under_way.wait()
            served.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(served.process.wait, 40) == 0, "".join(served.lines)
            await ended(processes)
            await asyncio.gather(*clients)
        assert heard.cut == []
        assert heard.unheard.isdisjoint(asked_of(openai_upstream))
        assert [answer.status_code for answer in heard.refused if answer.status_code not in (429, 503)] == []
    assert not openai_upstream.refusals


@pytest.mark.parametrize("workers", [1, 2])
async def test_streams_that_run_at_sigterm_are_written_to_their_end(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, workers: int
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks, ANSWER))
    heard = Heard()
    with gateway(configured(tmp_path, four_providers), workers) as served:
        clients = [
            asyncio.ensure_future(ask_until_gone(served, f"{n}", heard, stream=True)) for n in range(CONNECTIONS)
        ]
        await openai_upstream.arrival(CONNECTIONS)
        served.process.send_signal(signal.SIGTERM)
        for _ in range(MORE_TICKS_THAN_CHUNKS):  # who was quick asks again before the door is shut
            ticks.release()
        assert await asyncio.to_thread(served.process.wait, 60) == 0, "".join(served.lines)
        await asyncio.gather(*clients)
    assert heard.whole >= CONNECTIONS
    assert (heard.refused, heard.cut) == ([], [])
    assert heard.unheard.isdisjoint(asked_of(openai_upstream))


@pytest.mark.parametrize("stream", [False, True])
async def test_who_waits_longer_than_the_drain_hears_that_the_gateway_is_stopping(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, stream: bool
) -> None:
    openai_upstream.always(loopback.Silence())
    file = configured(tmp_path, four_providers, server={"admin_key": "key-admin", "drain_s": 1})
    with gateway(file, 1) as served:
        async with httpx.AsyncClient(base_url=served.url, headers=SHOP, timeout=60.0, trust_env=False) as http:
            asking = asyncio.ensure_future(http.post("/v1/chat/completions", json=chat("hello", TERRA, stream=stream)))
            await openai_upstream.arrival(1)
            served.process.send_signal(signal.SIGTERM)
            answer = await asking
        assert await asyncio.to_thread(served.process.wait, 60) == 0, "".join(served.lines)
        assert "Traceback" not in "".join(served.lines)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("1", "true")


async def test_a_stream_that_outlasts_the_drain_ends_with_an_error_event(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(1)
    openai_upstream.always(loopback.Gated(ticks, ANSWER))
    file = configured(tmp_path, four_providers, server={"admin_key": "key-admin", "drain_s": 1})
    with gateway(file, 1) as served:
        async with (
            httpx.AsyncClient(base_url=served.url, headers=SHOP, timeout=60.0, trust_env=False) as http,
            http.stream("POST", "/v1/chat/completions", json=chat("hello", TERRA, stream=True)) as answer,
        ):
            served.process.send_signal(signal.SIGTERM)
            last = [line async for line in answer.aiter_lines() if line][-1]
        assert await asyncio.to_thread(served.process.wait, 60) == 0, "".join(served.lines)
    assert orjson.loads(last.removeprefix("data: "))["error"]["code"] == "service_unavailable"

"""The same question from many clients at once: one upstream call, and nobody can spoil it for the others."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.events import RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running

TERRA = "gpt-6.1-terra"
QUESTION = "Why is the sky blue at noon and red at dusk?"
SAID = f"You said: {QUESTION}"
PATH = "/v1/chat/completions"
MANY = 200


@asynccontextmanager
async def clients(gateway: Running) -> AsyncIterator[httpx.AsyncClient]:
    """As many connections as there are requests."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=gateway.url, timeout=60.0, limits=limits, trust_env=False, verify=False
    ) as client:
        yield client


def asking(stream: bool, **body: Any) -> dict[str, Any]:
    return chat(QUESTION, TERRA, stream=stream, **body)


async def finished(gateway: Running, count: int) -> list[RequestFinished]:
    return [await gateway.events.next(RequestFinished) for _ in range(count)]


def said(answer: httpx.Response) -> str:
    """The text of an answer in either form, which must be whole."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        content: str = answer.json()["choices"][0]["message"]["content"]
        return content
    assert answer.text.endswith("data: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


@pytest.mark.parametrize("streams", ["none", "all", "every other"])
async def test_200_equal_prompts_at_once_are_one_upstream_call(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, streams: str
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    wants = [streams == "all" or (streams == "every other" and at % 2 == 1) for at in range(MANY)]
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        asked = [asyncio.ensure_future(client.post(PATH, json=asking(stream))) for stream in wants]
        await openai_upstream.arrival()
        for _ in range(20):
            ticks.release()
        answers = await asyncio.gather(*asked)
        told = await finished(gateway, MANY)
    assert len(openai_upstream.requests) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert {said(answer) for answer in answers} == {SAID}
    verdicts = Counter(answer.headers["x-thriftgate-cache"] for answer in answers)
    assert verdicts["miss"] == 1
    assert verdicts["joined"] + verdicts["hit"] == MANY - 1
    assert Counter(event.cache for event in told) == verdicts


async def test_who_joins_pays_nothing_and_saves_what_the_first_paid(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        first = asyncio.ensure_future(client.post(PATH, json=asking(True)))
        await openai_upstream.arrival()
        whole = [asyncio.ensure_future(client.post(PATH, json=asking(False))) for _ in range(3)]
        ticks.release()
        async with client.stream("POST", PATH, json=asking(True)) as begun:
            for _ in range(20):
                ticks.release()
            await begun.aread()
        await first
        answers = await asyncio.gather(*whole)
        told = await finished(gateway, 5)
    (paid,) = [event for event in told if event.cache == "miss"]
    others = [event for event in told if event is not paid]
    assert begun.headers["x-thriftgate-cache"] == "joined"
    assert begun.headers["x-thriftgate-attempts"] == "0"
    assert begun.headers["x-thriftgate-model"] == TERRA
    assert paid.cost_usd > 0
    assert {event.cost_usd for event in others} == {Decimal(0)}
    assert {event.saved_usd for event in others} == {paid.cost_usd}
    assert {event.saved_by for event in others if event.cache == "joined"} == {"single_flight"}
    assert {event.usage for event in others} == {paid.usage}
    assert Decimal(answers[0].headers["x-thriftgate-cost-usd"]) == 0


async def test_a_budget_for_one_answer_serves_everybody_who_asks_at_once(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    services = [{"name": "a", "key": "key-a", "budget": {"tokens": 300, "window": "month"}}]
    headers = {"authorization": "Bearer key-a"}
    body = asking(True, max_completion_tokens=50)
    async with running(tmp_path, {**four_providers, "services": services}) as gateway, clients(gateway) as client:
        asked = [asyncio.ensure_future(client.post(PATH, json=body, headers=headers)) for _ in range(20)]
        await openai_upstream.arrival()
        for _ in range(20):
            ticks.release()
        answers = await asyncio.gather(*asked)
        told = await finished(gateway, 20)
    assert {answer.status_code for answer in answers} == {200}
    assert sum(event.cost_usd > 0 for event in told) == 1


async def test_the_first_client_may_leave_and_the_others_have_the_whole_answer(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        first = asyncio.ensure_future(client.post(PATH, json=asking(True)))
        await openai_upstream.arrival()
        ticks.release()
        async with client.stream("POST", PATH, json=asking(True)) as second:
            first.cancel()
            await asyncio.wait([first])
            await client.get("/health")  # when this is answered, the gateway has seen what came before it
            for _ in range(20):
                ticks.release()
            await second.aread()
        told = {event.cache: event for event in await finished(gateway, 2)}
    assert said(second) == SAID
    assert len(openai_upstream.requests) == 1
    assert told["joined"].outcome == "ok"
    assert told["joined"].cost_usd == 0
    assert told["miss"].outcome == "client_disconnect"
    assert told["miss"].cost_usd > 0  # it opened the flight, so the bill is its own, whole
    assert told["miss"].usage == told["joined"].usage


async def test_a_client_that_never_reads_holds_nobody_back(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    text = " ".join(f"word-{at}-{'x' * 2_000}" for at in range(4_000))  # more than all the sockets' buffers take
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks, loopback.Answer(text)))
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        async with never_reading(gateway, asking(True)):
            await openai_upstream.arrival()
            ticks.release()
            async with client.stream("POST", PATH, json=asking(True)) as reads:
                for _ in range(4_000):
                    ticks.release()
                await reads.aread()
        told = {event.cache: event for event in await finished(gateway, 2)}
    assert said(reads) == text
    assert told["joined"].outcome == "ok"
    assert told["miss"].outcome == "client_disconnect"
    assert len(openai_upstream.requests) == 1


@asynccontextmanager
async def never_reading(gateway: Running, body: dict[str, Any]) -> AsyncIterator[None]:
    """A client that sends its request, and then nothing more happens on its side."""
    data = json.dumps(body).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    url = httpx.URL(gateway.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, (url.host, url.port))
        await loop.sock_sendall(client, head.encode() + data)
        yield


async def test_when_the_last_client_leaves_upstream_is_closed_and_what_it_produced_is_charged(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Stall(2))
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(client.stream("POST", PATH, json=asking(True)))
            received = openai_upstream.requests[0]
            assert not received.disconnected.is_set()
        async with asyncio.timeout(2):
            await received.disconnected.wait()
        told = await finished(gateway, 3)
    assert len(openai_upstream.requests) == 1
    assert [event.outcome for event in told] == ["client_disconnect"] * 3
    (charged,) = [event for event in told if event.cost_usd > 0]
    assert charged.cache == "miss"
    assert charged.usage.source == "estimated"
    assert charged.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_first_chunk_is_everybodys_status(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, stream: bool
) -> None:
    openai_upstream.always(loopback.Refuse(400, "No."))
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        answers = await asyncio.gather(*(client.post(PATH, json=asking(stream)) for _ in range(20)))
        told = await finished(gateway, 20)
    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["error"]["code"] for answer in answers} == {"upstream_rejected"}
    assert {event.outcome for event in told} == {"upstream_error"}
    assert len(openai_upstream.requests) < 20


async def test_a_failure_after_the_first_chunk_is_everybodys_error_event(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Cut(3))
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        answers = await asyncio.gather(*(client.post(PATH, json=asking(True)) for _ in range(20)))
        told = await finished(gateway, 20)
    broken = [answer for answer in answers if "[DONE]" not in answer.text]
    assert {answer.status_code for answer in answers} == {200}
    assert broken
    assert all('"upstream_cut"' in answer.text for answer in broken)
    assert sum(event.outcome == "upstream_error" for event in told) == len(broken)


async def test_two_services_never_share_a_flight(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    services = [{"name": name, "key": f"key-{name}", "cache_group": "one"} for name in "ab"]
    services += [{"name": name, "key": f"key-{name}"} for name in "cd"]
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    async with running(tmp_path, {**four_providers, "services": services}) as gateway, clients(gateway) as client:
        asked = [
            asyncio.ensure_future(
                client.post(PATH, json=asking(True), headers={"authorization": f"Bearer key-{service['name']}"})
            )
            for service in services
        ]
        await openai_upstream.arrival(4)
        for _ in range(80):
            ticks.release()
        answers = await asyncio.gather(*asked)
    assert [answer.headers["x-thriftgate-cache"] for answer in answers] == ["miss"] * 4


@pytest.mark.parametrize(("mode", "verdict"), [("off", "bypass"), ("refresh", "refresh")])
async def test_who_wants_an_answer_of_its_own_never_joins(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, mode: str, verdict: str
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    async with running(tmp_path, four_providers) as gateway, clients(gateway) as client:
        headers = {"x-thriftgate-cache": mode}
        asked = [asyncio.ensure_future(client.post(PATH, json=asking(True), headers=headers)) for _ in range(3)]
        await openai_upstream.arrival(3)
        for _ in range(60):
            ticks.release()
        answers = await asyncio.gather(*asked)
    assert [answer.headers["x-thriftgate-cache"] for answer in answers] == [verdict] * 3
    assert {said(answer) for answer in answers} == {SAID}


async def test_who_comes_in_the_middle_hears_the_beginning_as_well(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks))
    for _ in range(4):
        ticks.release()
    async with (
        running(tmp_path, four_providers) as gateway,
        clients(gateway) as client,
        client.stream("POST", PATH, json=asking(True)) as first,
    ):
        lines = first.aiter_lines()
        while "said" not in (await anext(lines)):
            pass
        async with client.stream("POST", PATH, json=asking(True, stream_options={"include_usage": True})) as late:
            for _ in range(20):
                ticks.release()
            await late.aread()
        assert [line async for line in lines if line][-1] == "data: [DONE]"
    assert late.headers["x-thriftgate-cache"] == "joined"
    assert said(late) == SAID
    assert '"total_tokens"' in late.text

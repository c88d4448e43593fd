"""Everybody at once against one budget, on one gateway and on three, and clients that leave anywhere: never overspent,
nothing lost, and nothing reserved in the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest
import yaml

from gateway.core.events import RequestFinished
from gateway.core.usage import Usage
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running
from tests.fixtures.ledger import account_sums
from tests.fixtures.process import serving
from tests.loopback.exchange import Exchange

TERRA = "gpt-6.1-terra"
KEY = {"authorization": "Bearer sk-shop"}
CLIENTS, ROOM_FOR = 200, 10
LIMIT, COST = 1_000_000_000, 60_000_000
"""Nano-dollars: of the budget, and of an answer, for which 100,000,000 are reserved."""
ANSWER = loopback.Answer("word " * 59 + "end", usage=Usage(10, 60))


def racing(config: Config, redis_url: str) -> Config:
    """A service with a dollar, and a model of which an answer costs six cents, with ten reserved for it."""
    config["models"][TERRA]["price"] = {"input": 0, "output": 1_000}
    config["state"]["redis_url"] = redis_url
    config["timeouts"] = {"first_token_s": 100, "between_tokens_s": 100}  # answers wait here for slow machines
    return {**config, "services": [{"name": "shop", "key": "sk-shop", "budget": {"usd": 1}}]}


@asynccontextmanager
async def gateways(folder: Path, config: Config, count: int, workers: int = 1) -> AsyncIterator[Sequence[str]]:
    """The URLs of so many processes, each with so many workers, or of one gateway here."""
    if count == workers == 1:
        async with running(folder, config) as gateway:
            yield [gateway.url]
        return
    with ExitStack() as stack:
        file = folder / "gateway.yaml"
        file.write_text(yaml.safe_dump({"embedder": {"engine": "none"}, **config}))
        states = [folder / f"state-{number}" for number in range(count)]
        options = ("--config", str(file), "--workers", str(workers))
        yield [stack.enter_context(serving(state, *options)).url for state in states]


@asynccontextmanager
async def crowd() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=100.0, limits=limits, trust_env=False, verify=False) as http:
        yield http


async def ask(http: httpx.AsyncClient, url: str, text: str, *, stream: bool) -> httpx.Response:
    body = chat(text, TERRA, max_tokens=100, stream=stream)
    return await http.post(f"{url}/v1/chat/completions", json=body, headers=KEY)


async def all_but(count: int, asked: set[asyncio.Task[httpx.Response]]) -> None:
    """Until no more than so many are left in the air."""
    while len(asked) > count:
        _, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)


@pytest.mark.parametrize(
    ("count", "workers", "stream"),
    [
        pytest.param(1, 1, False, id="whole"),
        pytest.param(1, 1, True, id="streamed"),
        pytest.param(3, 1, False, id="whole-from-three-processes"),
        pytest.param(3, 1, True, id="streamed-from-three-processes", marks=pytest.mark.nightly),
        pytest.param(1, 4, False, id="whole-from-four-workers"),
        pytest.param(1, 4, True, id="streamed-from-four-workers", marks=pytest.mark.nightly),
    ],
)
async def test_two_hundred_at_once_never_overspend_what_is_enough_for_ten(
    tmp_path: Path,
    four_providers: Config,
    openai_upstream: loopback.Upstream,
    redis_url: str,
    count: int,
    workers: int,
    stream: bool,
) -> None:
    """The ten are kept in the air until all others have been refused; then one after the other asks for the rest."""
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks, ANSWER))
    async with gateways(tmp_path, racing(four_providers, redis_url), count, workers) as urls, crowd() as http:
        asked = [
            asyncio.ensure_future(ask(http, urls[n % count], f"question {n}", stream=stream)) for n in range(CLIENTS)
        ]
        await all_but(ROOM_FOR, set(asked))
        in_the_air = await account_sums(redis_url, "shop")
        for _ in range(CLIENTS * 60):
            ticks.release()
        statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
        served = statuses.count(200)
        while (await ask(http, urls[served % count], f"after {served}", stream=stream)).status_code == 200:
            served += 1
    assert in_the_air["reserved_nano_usd"] == LIMIT
    assert sorted(statuses) == [200] * ROOM_FOR + [429] * (CLIENTS - ROOM_FOR)
    assert len(openai_upstream.requests) == served
    assert await account_sums(redis_url, "shop") == {
        "settled_tokens": served * 70,
        "settled_nano_usd": served * COST,
    }
    assert 0.8 * LIMIT <= served * COST <= LIMIT


# clients that leave


@dataclass
class Readers:
    """A step of a script: each answer goes on by one token when its own reader asks for more."""

    paces: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    async def play(self, exchange: Exchange) -> None:
        text = exchange.request.body["messages"][-1]["content"]
        await loopback.Gated(self.paces[text], loopback.Answer("word " * 99 + "end")).play(exchange)


async def leave_after(url: str, text: str, pace: asyncio.Semaphore, size_bytes: int) -> None:
    """Read exactly so much of the response, head and frames, and abort the connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = orjson.dumps(chat(text, TERRA, max_tokens=100, stream=True))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: {KEY['authorization']}\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    left_bytes = size_bytes
    while left_bytes:
        pace.release()
        heard = await reader.read(left_bytes)
        assert heard, "the answer was over before its reader left"
        left_bytes -= len(heard)
    writer.transport.abort()


async def finished(gateway: Running, count: int) -> list[RequestFinished]:
    return [await gateway.events.next(RequestFinished) for _ in range(count)]


async def test_streams_that_are_left_anywhere_are_charged_for_what_was_produced(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, redis_url: str
) -> None:
    chance = random.Random(200)
    readers = Readers()
    openai_upstream.always(readers)
    config = racing(four_providers, redis_url)
    config["services"][0]["budget"] = {"usd": 1_000, "tokens": 1_000_000}
    async with running(tmp_path, config) as gateway:
        leaving = []
        for number in range(CLIENTS):
            pace = readers.paces[f"question {number}"] = asyncio.Semaphore(0)
            leaving.append(leave_after(gateway.url, f"question {number}", pace, chance.randint(1, 20_000)))
        await asyncio.gather(*leaving)
        bills = await finished(gateway, CLIENTS)
    left = await account_sums(redis_url, "shop")
    produced = sum(request.produced_tokens for request in openai_upstream.requests)
    assert {bill.outcome for bill in bills} == {"client_disconnect"}
    assert sum(bill.usage.output_tokens for bill in bills) == pytest.approx(produced, rel=0.02)
    assert left == {
        "settled_tokens": sum(bill.usage.total_tokens for bill in bills),
        "settled_nano_usd": sum(bill.usage.output_tokens for bill in bills) * 1_000_000,
    }

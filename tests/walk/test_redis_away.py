"""Redis killed in the middle of traffic: each budget does what it says, and afterwards the sums are what was spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.events import PutAside, Recovered, RequestFinished
from gateway.core.usage import Usage
from gateway.offline.ledger_proof import EQUAL, prove
from gateway.settings import load
from tests import loopback
from tests.fixtures.gateway import Config, Running, running
from tests.fixtures.ledger import account_sums
from tests.fixtures.state import Valkey

TERRA = "gpt-6.1-terra"
AT_ONCE = 10
NANO = 1_000_000_000


@pytest.fixture
def valkey(own_valkey: Callable[..., Valkey]) -> Valkey:
    """One that loses nothing when it is killed: with `everysec` it puts writes off while the disk is slow to sync."""
    return own_valkey("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def priced(four_providers: Config, openai_upstream: loopback.Upstream, valkey: Valkey) -> Config:
    """A model whose answers cost 6 cents, and 10 are reserved for them."""
    four_providers["models"][TERRA]["price"] = {"input": 0, "output": 1_000}
    four_providers["state"]["redis_url"] = valkey.url
    openai_upstream.always(loopback.Answer("So it is.", usage=Usage(10, 60)))
    return four_providers


def service(name: str, **budget: Any) -> Config:
    return {"name": name, "key": f"sk-{name}", "budget": {"usd": 1_000, **budget}}


async def ask(gateway: Running, name: str, text: str, **body: Any) -> httpx.Response:
    return await gateway.ask(text, TERRA, {"authorization": f"Bearer sk-{name}"}, max_tokens=100, **body)


async def heard_again(gateway: Running) -> None:
    while (await gateway.events.next(Recovered)).component != "ledger":
        pass


def billed(gateway: Running, name: str) -> dict[str, int]:
    """What this service's requests were told to have used."""
    bills = [event for event in gateway.events.told if isinstance(event, RequestFinished) and event.service == name]
    tokens = sum(bill.usage.total_tokens for bill in bills)
    return {
        "settled_tokens": tokens,
        "settled_nano_usd": int(sum((bill.cost_usd for bill in bills), Decimal(0)) * NANO),
    }


async def assert_the_books_balance(folder: Path) -> None:
    status, text = await prove(load(folder / "gateway.yaml", {}).settings, [], as_json=False)
    assert status == EQUAL, text


async def test_each_budget_does_what_it_says_while_redis_is_away(
    tmp_path: Path, priced: Config, valkey: Valkey
) -> None:
    services = [
        service("shut"),
        service("frugal", usd=10, when_unavailable="local"),
        service("free", when_unavailable="open"),
        service("watched", enforcement="soft", usd=0.1),
    ]
    async with running(tmp_path, {**priced, "services": services}) as gateway:
        assert {(await ask(gateway, each["name"], "first")).status_code for each in services} == {200}
        assert await gateway.events.next(PutAside) == PutAside("frugal", 0, NANO // 2)
        valkey.kill()
        shut = await ask(gateway, "shut", "away")
        frugal = [await ask(gateway, "frugal", f"away {n}") for n in range(12)]
        free = [await ask(gateway, name, f"away {n}") for n in range(12) for name in ("free", "watched")]
        metrics = (await gateway.http.get("/metrics")).text
        valkey.start()
        await heard_again(gateway)
        back = await ask(gateway, "shut", "back")
    assert (shut.status_code, shut.json()["error"]["code"]) == (503, "budget_unavailable")
    assert int(shut.headers["retry-after"]) >= 1
    assert [answer.status_code for answer in frugal] == [200] * 7 + [503] * 5
    assert "put aside" in frugal[-1].json()["error"]["message"]
    assert {answer.status_code for answer in free} == {200}
    assert 'thriftgate_budget_unguarded_requests_total{service="free"} 12.0' in metrics
    assert 'thriftgate_budget_unguarded_requests_total{service="watched"} 12.0' in metrics
    assert back.status_code == 200
    for each in services:
        assert await account_sums(valkey.url, each["name"]) == billed(gateway, each["name"])
    await assert_the_books_balance(tmp_path)


@pytest.mark.parametrize("policy", ["local", pytest.param("open", marks=pytest.mark.nightly)])
async def test_of_a_thousand_requests_none_is_lost_or_charged_twice_when_redis_dies_and_comes_back(
    tmp_path: Path, priced: Config, valkey: Valkey, policy: str
) -> None:
    """Killed and started while requests are in the air; every other one is streamed."""
    config = {**priced, "services": [service("shop", when_unavailable=policy)]}
    answers: list[httpx.Response] = []
    async with running(tmp_path, config) as gateway:
        for first in range(0, 1_000, AT_ONCE):
            asked = [asyncio.ensure_future(ask(gateway, "shop", f"{n}", stream=bool(n % 2))) for n in few(first)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            if first == 100 and policy == "local":
                await gateway.events.next(PutAside)
            if first == 300:
                valkey.kill()
            if first == 700:
                valkey.start()
            answers += await asyncio.gather(*asked)
    assert [answer.text for answer in answers if answer.status_code != 200 or '"error"' in answer.text] == []
    assert len(answers) == 1_000
    assert await account_sums(valkey.url, "shop") == billed(gateway, "shop")
    assert billed(gateway, "shop") == {"settled_tokens": 70_000, "settled_nano_usd": 60 * NANO}
    await assert_the_books_balance(tmp_path)


def few(first: int) -> range:
    return range(first, first + AT_ONCE)

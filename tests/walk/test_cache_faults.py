"""A cache that is killed, frozen or slow under a stream of requests: no request fails, and it is told.

What it costs in time is measured by tests/bench/cache_faults.py, beside a healthy run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from gateway.core.events import Degraded, Recovered
from tests.fixtures.gateway import Config, Running, running
from tests.fixtures.qdrant import QdrantStub
from tests.fixtures.state import Valkey

TERRA = "gpt-6.1-terra"
AT_ONCE = 10


async def stream_of_requests(gateway: Running, first: int, count: int) -> list[httpx.Response]:
    """Ten at a time; every third question was asked before, every other answer is streamed."""
    answers: list[httpx.Response] = []
    for at in range(first, first + count, AT_ONCE):
        asked = [
            gateway.ask(f"Where is tool {n if n % 3 else n - 7}?", TERRA, stream=bool(n % 2))
            for n in range(at, at + AT_ONCE)
        ]
        answers += await asyncio.gather(*asked)
    return answers


def failed(answers: list[httpx.Response]) -> list[str]:
    return [answer.text for answer in answers if answer.status_code != 200 or '"error"' in answer.text]


async def degraded(gateway: Running, component: str) -> None:
    while (await gateway.events.next(Degraded)).component != component:
        pass


async def recovered(gateway: Running, component: str) -> None:
    while (await gateway.events.next(Recovered)).component != component:
        pass


@asynccontextmanager
async def slow(valkey: Valkey) -> AsyncIterator[None]:
    """Every command waits for a fifth of a second behind one that is always there."""

    async def hold_up() -> None:
        async with Redis.from_url(valkey.url) as redis:
            while True:
                await redis.execute_command("DEBUG", "SLEEP", "0.2")  # type: ignore[no-untyped-call]  # redis-py's

    holding = asyncio.ensure_future(hold_up())
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


@asynccontextmanager
async def frozen(valkey: Valkey) -> AsyncIterator[None]:
    valkey.freeze()
    try:
        yield
    finally:
        valkey.thaw()


@asynccontextmanager
async def killed(valkey: Valkey) -> AsyncIterator[None]:
    valkey.kill()
    try:
        yield
    finally:
        valkey.start()


@pytest.mark.parametrize("fault", [killed, frozen, slow])
async def test_no_request_fails_while_redis_is(
    tmp_path: Path,
    four_providers: Config,
    own_valkey: Callable[..., Valkey],
    fault: Callable[[Valkey], AbstractAsyncContextManager[None]],
) -> None:
    valkey = own_valkey("--enable-debug-command", "yes")
    async with running(tmp_path, {**four_providers, "state": {"redis_url": valkey.url}}) as gateway:
        assert failed(await stream_of_requests(gateway, 0, 30)) == []
        async with fault(valkey):
            assert failed(await stream_of_requests(gateway, 1_000, 100)) == []
            await degraded(gateway, "exact_cache")
        await recovered(gateway, "exact_cache")
        assert failed(await stream_of_requests(gateway, 2_000, 30)) == []


@pytest.mark.parametrize("fault", ["kill", "hang", "slow"])
async def test_no_request_fails_while_qdrant_is(
    tmp_path: Path, four_providers: Config, qdrant_stub: QdrantStub, fault: str
) -> None:
    semantic = {
        "embedder": {"engine": "onnx"},
        "vectors": {"qdrant_url": qdrant_stub.url},
        "cache": {
            "semantic": {"shadow_share": 0, "value_of_second_usd": 0, "cpu_second_usd": 0, "deadline_ms": 60_000}
        },
    }
    async with running(tmp_path, {**four_providers, **semantic}) as gateway:
        while (await gateway.http.get("/readyz")).status_code != 200:
            pass
        assert failed(await stream_of_requests(gateway, 0, 20)) == []
        if fault == "kill":
            qdrant_stub.kill()
        else:
            qdrant_stub.fault = fault
        assert failed(await stream_of_requests(gateway, 1_000, 60)) == []
        await degraded(gateway, "semantic_cache")

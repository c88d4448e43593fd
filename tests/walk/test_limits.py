"""The limits of a service at the door: what passes, what is refused, and what the client is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import orjson
import pytest

from gateway.core.events import Degraded, RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, chat, running

TERRA = "gpt-6.1-terra"
KEY = {"authorization": "Bearer key-a"}
PATH = "/v1/chat/completions"
MANY = 200
OPENAI_HEADERS = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")


def limited(config: Config, **limits: int) -> Config:
    """One service, without caches, so that every answer is upstream's."""
    service = {"name": "shop", "key": "key-a", "limits": limits, "cache": {"enabled": False}}
    return {**config, "services": [service]}


@asynccontextmanager
async def two_gateways(folder: Path, config: Config) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Replicas that share one Redis, each with a client that opens a connection for each request: one that is kept may
    be closed by the server, after its five idle seconds, just as it is used again."""
    for name in ("one", "other"):
        (folder / name).mkdir()
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with (
        running(folder / "one", config) as one,
        running(folder / "other", config) as other,
        httpx.AsyncClient(base_url=one.url, timeout=60.0, limits=unlimited, trust_env=False, verify=False) as here,
        httpx.AsyncClient(base_url=other.url, timeout=60.0, limits=unlimited, trust_env=False, verify=False) as there,
    ):
        yield [here, there]


def told(headers: Mapping[str, str]) -> list[str | None]:
    return [headers.get(name) for name in OPENAI_HEADERS]


async def test_of_200_at_once_on_two_gateways_as_many_pass_as_a_minute_may_have(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    config = limited(four_providers, requests_per_minute=30)
    async with two_gateways(tmp_path, config) as clients:
        asking = [clients[n % 2].post(PATH, json=chat(f"No. {n}", TERRA), headers=KEY) for n in range(MANY)]
        answers = await asyncio.gather(*asking)
    assert Counter(answer.status_code for answer in answers) == {200: 30, 429: MANY - 30}
    assert len(openai_upstream.requests) == 30
    assert sorted(int(told(answer.headers)[1] or 0) for answer in answers if answer.status_code == 200) == list(
        range(30)
    )


async def test_200_requests_on_two_gateways_are_never_more_upstream_than_may_be_at_once(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async def passes(client: httpx.AsyncClient, number: int) -> bool:
        body = chat(f"No. {number}", TERRA, stream=number % 3 == 0)
        return (await client.post(PATH, json=body, headers=KEY)).status_code == 200

    async def until_answered(client: httpx.AsyncClient, number: int) -> None:
        if not await passes(client, number):
            async with crowd:
                while not await passes(client, number):
                    pass

    crowd = asyncio.Semaphore(8)  # of those who ask again: enough to fill the limit twice
    async with (
        two_gateways(tmp_path, limited(four_providers, concurrency=4)) as clients,
        asyncio.TaskGroup() as group,  # the first failure ends all of them
    ):
        for number in range(MANY):
            group.create_task(until_answered(clients[number % 2], number))
    assert len(openai_upstream.requests) == MANY
    assert 1 < openai_upstream.peak_in_flight <= 4


async def test_a_stream_holds_its_slot_until_its_last_byte(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.script(loopback.Gated(ticks))
    async with running(tmp_path, limited(four_providers, concurrency=1)) as gateway:
        ticks.release()
        async with gateway.http.stream("POST", PATH, json=chat("Hello", TERRA, stream=True), headers=KEY) as stream:
            assert stream.status_code == 200
            assert (await gateway.ask("Me too", TERRA, KEY)).status_code == 429
            for _ in range(20):
                ticks.release()
            await stream.aread()
        assert (await gateway.ask("And now", TERRA, KEY)).status_code == 200


async def test_a_client_that_leaves_in_the_middle_gives_its_slot_back(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Stall(after_tokens=1))
    async with running(tmp_path, limited(four_providers, concurrency=1)) as gateway:
        async with gateway.http.stream("POST", PATH, json=chat("Hello", TERRA, stream=True), headers=KEY) as stream:
            await anext(stream.aiter_bytes())
        await openai_upstream.requests[0].disconnected.wait()
        await gateway.events.next(RequestFinished)
        assert (await gateway.ask("Next", TERRA, KEY)).status_code == 200


@pytest.mark.parametrize("body", [{"model": "nope", "messages": []}, chat("Hello", "nope"), chat("Hello", TERRA)])
async def test_a_request_that_fails_gives_its_slot_back(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, body: dict[str, Any]
) -> None:
    openai_upstream.always(loopback.Refuse(400))
    async with running(tmp_path, limited(four_providers, concurrency=1)) as gateway:
        answers = [await gateway.http.post(PATH, json=body, headers=KEY) for _ in range(3)]
    assert len({answer.status_code for answer in answers}) == 1
    assert answers[0].status_code in (400, 404)


async def test_the_openai_sdk_sees_a_rate_limit_error_with_the_headers_it_knows(
    tmp_path: Path, four_providers: Config
) -> None:
    async with (
        running(tmp_path, limited(four_providers, requests_per_minute=1)) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="key-a", max_retries=0) as client,
    ):
        first = await client.chat.completions.with_raw_response.create(**chat("Hello", TERRA))
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(**chat("Again", TERRA))
    assert [first.headers[name] for name in OPENAI_HEADERS[:2]] == ["1", "0"]
    error, headers = refused.value, refused.value.response.headers
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert "1 requests a minute (`limits.requests_per_minute`)" in error.message
    assert 59 <= int(headers["retry-after"]) <= 61
    assert 0 <= int(headers["retry-after"]) - int(headers["retry-after-ms"]) / 1000 < 1
    assert [headers[name] for name in OPENAI_HEADERS[:2]] == ["1", "0"]
    assert headers["x-ratelimit-reset-requests"] in ("59s", "1m0s", "1m1s")


async def test_the_anthropic_sdk_sees_a_rate_limit_error_with_the_headers_it_knows(
    tmp_path: Path, four_providers: Config
) -> None:
    question: Any = {"model": TERRA, "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    async with (
        running(tmp_path, limited(four_providers, requests_per_minute=1)) as gateway,
        anthropic.AsyncAnthropic(base_url=gateway.url, api_key="key-a", max_retries=0) as client,
    ):
        await client.messages.create(**question)
        with pytest.raises(anthropic.RateLimitError) as refused:
            await client.messages.create(**question)
    body, headers = refused.value.response.json(), refused.value.response.headers
    assert body["error"]["type"] == "rate_limit_error"
    assert headers["anthropic-ratelimit-requests-limit"] == "1"
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert told(headers)[:2] == ["1", "0"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, chat("Hello", TERRA)),
        (PATH, chat("Hello", TERRA, stream=True)),
        (PATH, {"model": TERRA}),
        ("/v1/completions", {"model": TERRA, "prompt": "Hello"}),
        ("/v1/responses", {"model": TERRA, "input": "Hello"}),
        ("/v1/embeddings", {"model": "nope", "input": "Hello"}),
    ],
)
async def test_every_answer_of_a_limited_service_says_what_is_left(
    tmp_path: Path, four_providers: Config, path: str, body: Mapping[str, Any]
) -> None:
    async with running(tmp_path, limited(four_providers, requests_per_minute=9)) as gateway:
        answer = await gateway.http.post(path, json=body, headers=KEY)
    assert told(answer.headers)[:2] == ["9", "8"]


async def test_a_service_without_limits_is_told_of_none(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, limited(four_providers)) as gateway:
        answer = await gateway.ask("Hello", TERRA, KEY)
    assert (answer.status_code, told(answer.headers)) == (200, [None, None, None])


async def test_a_refusal_comes_before_the_body_is_read_and_is_told_once(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, limited(four_providers, requests_per_minute=1)) as gateway:
        await gateway.ask("Hello", TERRA, KEY)
        refused = await gateway.http.post(PATH, content=b"{not json", headers=KEY)
        unknown = await gateway.http.post(PATH, content=b"{not json", headers={"authorization": "Bearer wrong"})
        scraped = await gateway.http.get("/metrics")
    assert (refused.status_code, unknown.status_code) == (429, 401)
    assert refused.headers["x-should-retry"] == "true"
    _, event = (event for event in gateway.events.told if isinstance(event, RequestFinished))
    assert (event.service, event.endpoint, event.outcome) == ("shop", "chat", "refused")
    assert (event.status, event.error_code) == (429, "rate_limit_exceeded")
    assert 'thriftgate_refusals_total{reason="rate_limit_exceeded",service="shop"} 1.0' in scraped.text


async def test_a_connection_goes_on_after_a_refusal_that_came_before_its_body(
    tmp_path: Path, four_providers: Config
) -> None:
    body = orjson.dumps(chat("Hello " * 100_000, TERRA))
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key-a\r\ncontent-length: {len(body)}\r\n\r\n"
    async with running(tmp_path, limited(four_providers, requests_per_minute=1)) as gateway:
        await gateway.ask("Hello", TERRA, KEY)
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(gateway.url).port)
        for _ in range(3):
            writer.write(head.encode())
            refusal = await reader.readuntil(b"\r\n\r\n")
            length = int(refusal.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert b"requests a minute" in await reader.readexactly(length)
            assert refusal.startswith(b"HTTP/1.1 429")
            writer.write(body)
            await writer.drain()
        writer.close()


async def test_counting_tokens_is_not_limited(tmp_path: Path, four_providers: Config) -> None:
    body = {"model": TERRA, "messages": [{"role": "user", "content": "Hello"}]}
    async with running(tmp_path, limited(four_providers, requests_per_minute=1, concurrency=1)) as gateway:
        headers = KEY | {"anthropic-version": "2023-06-01"}
        answers = [await gateway.http.post("/v1/messages/count_tokens", json=body, headers=headers) for _ in range(3)]
        asked = await gateway.ask("Hello", TERRA, KEY)
    assert [answer.status_code for answer in (*answers, asked)] == [200] * 4


async def test_a_gateway_whose_redis_is_gone_still_limits_its_services(tmp_path: Path, four_providers: Config) -> None:
    gone = {"redis_url": f"unix://{tmp_path}/nobody-listens.sock", "timeout_ms": 50}
    config = limited({**four_providers, "state": gone}, requests_per_minute=3)
    async with running(tmp_path, config) as gateway:
        answers = [await gateway.ask(f"No. {number}", TERRA, KEY) for number in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [told(answer.headers)[1] for answer in answers] == ["2", "1", "0", "0", "0"]
    broken = [event for event in gateway.events.told if isinstance(event, Degraded) and event.component == "limits"]
    assert len(broken) == 1

"""What a client sees when a provider fails: another model before the first chunk, the truth after it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from openai import APIError, AsyncOpenAI

from gateway.core.events import AttemptFailed, RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, chat, running

TERRA = "gpt-6.1-terra"


async def test_auto_falls_back_before_the_first_chunk(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(503))
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Wombats dig at night.", stream=True)
        failed = await gateway.events.next(AttemptFailed)
    assert answer.status_code == 200
    assert answer.headers["x-thriftgate-model"] == "claude-opus-5-5"
    assert int(answer.headers["x-thriftgate-attempts"]) > 1
    assert failed.provider == "openai"


async def test_what_a_lower_tier_answered_in_need_is_not_kept(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, anthropic_upstream: loopback.Upstream
) -> None:
    anthropic_upstream.always(loopback.Refuse(503))
    openai_upstream.script(loopback.Refuse(503), loopback.Refuse(503))
    async with running(tmp_path, four_providers) as gateway:
        in_need = await gateway.ask("Wombats dig at night.")
        well_again = await gateway.ask("Wombats dig at night.")
    assert in_need.headers["x-thriftgate-model"] == "local"
    assert well_again.headers["x-thriftgate-cache"] == "miss"
    assert well_again.headers["x-thriftgate-model"] == TERRA


async def test_a_pinned_model_is_never_swapped(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Refuse(503))
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", TERRA)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "upstream_overloaded"


async def test_a_passing_failure_is_retried(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Refuse(500))
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", TERRA)
    assert answer.status_code == 200
    assert answer.headers["x-thriftgate-attempts"] == "2"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_rate_limit_keeps_its_retry_after(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, stream: bool
) -> None:
    openai_upstream.always(loopback.rate_limited(7))
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", TERRA, stream=stream)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-should-retry"] == "true"
    assert len(openai_upstream.requests) == 1, "asked again before its retry-after"


async def test_our_key_refused_upstream_is_not_the_clients_fault(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    four_providers["providers"]["openai"]["api_key"] = "sk-wrong"
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", TERRA)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_auth"
    assert "sk-wrong" not in answer.text


async def test_a_request_upstream_refuses_is_a_400_and_is_not_tried_elsewhere(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Wombats dig at night.", made_up_field=1)
    assert answer.status_code == 400
    assert "made_up_field" in answer.json()["error"]["message"]
    assert not anthropic_upstream.requests


async def test_a_html_page_is_a_502_without_its_html(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Respond(200, b"<html>maintenance</html>"))
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", TERRA)
    assert answer.status_code == 502
    assert "<html>" not in answer.text


@pytest.mark.parametrize(
    "step",
    [loopback.Cut(after_tokens=2), loopback.Unfinished(2), loopback.Fail(2), loopback.Insert(b"data: {oops\n\n", 2)],
)
@pytest.mark.parametrize("kind", ["openai", "deepseek", "anthropic", "llamacpp"])
async def test_a_stream_that_breaks_ends_with_an_error_and_no_done(
    tmp_path: Path,
    four_providers: Config,
    four_upstreams: dict[str, loopback.Upstream],
    kind: str,
    step: loopback.Step,
) -> None:
    four_upstreams[kind].always(step)
    model = {"openai": TERRA, "deepseek": "deepseek-flash", "anthropic": "claude-opus-5-5", "llamacpp": "local"}[kind]
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("one two three four five", model, stream=True)
        event = await gateway.events.next(RequestFinished)
        again = await gateway.ask("one two three four five", model, {"x-thriftgate-cache": "read-only"}, stream=True)
    assert answer.status_code == 200
    assert "[DONE]" not in answer.text
    last = [line for line in answer.text.split("\n") if line][-1]
    assert set(json.loads(last.removeprefix("data: "))["error"]) == {"message", "type", "param", "code"}
    assert event.outcome == "upstream_error"
    assert event.usage.output_tokens >= 2, "what upstream had produced is charged"
    assert again.headers["x-thriftgate-cache"] == "miss"


async def test_the_sdk_raises_for_a_broken_stream(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Cut(after_tokens=2))
    async with running(tmp_path, four_providers) as gateway:
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
        stream = await client.chat.completions.create(**chat("one two three four five", TERRA), stream=True)
        with pytest.raises(APIError):
            async for _ in stream:
                pass
        await client.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_closes_the_upstream_and_is_charged(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, stream: bool
) -> None:
    openai_upstream.always(loopback.Stall(after_tokens=3))
    async with running(tmp_path, four_providers) as gateway, httpx.AsyncClient(base_url=gateway.url) as leaving:
        request = leaving.build_request("POST", "/v1/chat/completions", json=chat("a b c d e f", TERRA, stream=stream))
        if stream:
            response = await leaving.send(request, stream=True)
            await anext(response.aiter_bytes())
            await response.aclose()
        else:
            with pytest.raises(httpx.ReadTimeout):
                await leaving.send(request, stream=False)
        await openai_upstream.requests[0].disconnected.wait()
        event = await gateway.events.next(RequestFinished)
    assert event.outcome == "client_disconnect"
    assert event.usage.source == "estimated"
    assert event.cost_usd > 0


async def test_a_silent_upstream_is_a_504_that_names_the_deadline(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Silence())
    config = {**four_providers, "timeouts": {"first_token_s": 0.2}, "upstream": {"attempts_per_model": 1}}
    async with running(tmp_path, config) as gateway:
        answer = await gateway.ask("Hello", TERRA, stream=True)
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "upstream_timeout"


async def test_a_provider_that_is_not_there_is_a_502(tmp_path: Path, four_providers: Config) -> None:
    four_providers["providers"]["openai"]["base_url"] = "http://127.0.0.1:9/v1"
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Hello", TERRA)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_unreachable"

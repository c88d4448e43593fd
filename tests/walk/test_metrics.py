"""What Prometheus would scrape from a running gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.events import RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, Running, running

KEY = {"authorization": "Bearer k"}
Labels = frozenset[tuple[str, str]]


async def scraped(gateway: Running) -> dict[str, dict[Labels, float]]:
    """Values by sample name and labels."""
    answer = await gateway.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def labels(**values: str) -> Labels:
    return frozenset(values.items())


async def test_how_a_budget_stands_is_scraped(tmp_path: Path, four_providers: Config) -> None:
    shop = {"name": "shop", "key": "k", "budget": {"tokens": 5_000, "usd": 2, "window": "day"}}
    async with running(tmp_path, {**four_providers, "services": [shop]}) as gateway:
        await gateway.ask("Hello", "gpt-6.1-terra", KEY)
        event = await gateway.events.next(RequestFinished)
        found = await scraped(gateway)
    day = labels(account="shop", window="day")
    assert found["thriftgate_budget_limit_usd"] == {day: 2}
    assert found["thriftgate_budget_limit_tokens"] == {day: 5_000}
    assert found["thriftgate_budget_used_usd"] == {day: float(event.cost_usd)}
    assert found["thriftgate_budget_used_tokens"] == {day: event.usage.total_tokens}


async def test_a_budget_whose_ledger_is_away_is_not_scraped(tmp_path: Path, four_providers: Config) -> None:
    """And the rest is."""
    away = {"redis_url": "redis://127.0.0.1:1/0", "timeout_ms": 20}
    shop = {"name": "shop", "key": "k", "budget": {"tokens": 5_000}}
    async with running(tmp_path, {**four_providers, "state": away, "services": [shop]}) as gateway:
        found = await scraped(gateway)
    assert "thriftgate_budget_limit_tokens" not in found
    assert found["thriftgate_requests_in_flight"] == {labels(): 0}


async def test_requests_in_flight_and_cached_answers_are_those_of_the_moment(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.script(loopback.Say(loopback.Answer("Done.")), loopback.Silence())
    async with running(tmp_path, four_providers) as gateway:
        await gateway.ask("Hello", "gpt-6.1-terra")
        asking = asyncio.create_task(gateway.ask("And you?", "gpt-6.1-terra"))
        await openai_upstream.arrival(2)
        found = await scraped(gateway)
        asking.cancel()
    assert found["thriftgate_requests_in_flight"] == {labels(): 1}
    assert found["thriftgate_cache_entries"][labels(layer="exact")] == 1
    assert found["thriftgate_cache_bytes"][labels(layer="exact")] > 0


async def test_a_local_model_shows_what_its_hours_cost_and_one_that_is_free_says_so(
    tmp_path: Path, four_providers: Config
) -> None:
    four_providers["models"]["own"] = {
        **four_providers["models"]["local"],
        "price": {"gpu_hour_usd": 3_600_000, "prompt_tokens_per_s": 1e6, "output_tokens_per_s": 1e6},
    }
    async with running(tmp_path, four_providers) as gateway:
        await gateway.ask("Hello", "own")
        await gateway.events.next(RequestFinished)
        found = await scraped(gateway)
    of_provider = labels(provider="llamacpp")
    assert found["thriftgate_local_hour_usd"] == {of_provider: 3_600_000}
    assert found["thriftgate_local_busy_seconds_total"][of_provider] > 0
    assert found["thriftgate_local_idle_usd"][of_provider] > 0
    assert found["thriftgate_local_free_declared"] == {labels(provider="llamacpp", model="local"): 1}


TEN_THOUSAND = pytest.param(2_500, id="10000", marks=[pytest.mark.nightly, pytest.mark.timeout(900)])


@pytest.mark.parametrize("rounds", [pytest.param(250, id="1000"), TEN_THOUSAND])
async def test_junk_names_add_no_series(tmp_path: Path, four_providers: Config, rounds: int) -> None:
    """Four new names a round: of a model and its user, of a tier and headers, of a key, of a path."""
    shop = {"name": "shop", "key": "k"}

    async def junk(gateway: Running, number: int) -> None:
        name = f"junk-{number}"
        headers = {"x-thriftgate-tier": name, "x-thriftgate-tags": name, "user-agent": name, name: name}
        await gateway.ask("Hello", name, {**KEY, "x-thriftgate-tags": name, name: name}, user=name)
        await gateway.ask("Hello", "auto", {**KEY, **headers})
        await gateway.ask("Hello", "auto", {"authorization": f"Bearer {name}"})
        await gateway.http.post(f"/v1/{name}", json={}, headers=KEY)

    async with running(tmp_path, {**four_providers, "services": [shop]}) as gateway:
        await junk(gateway, 0)
        before = {name: set(series) for name, series in (await scraped(gateway)).items()}
        for first in range(1, rounds, 10):
            await asyncio.gather(*[junk(gateway, number) for number in range(first, first + 10)])
        after = {name: set(series) for name, series in (await scraped(gateway)).items()}
    assert after == before

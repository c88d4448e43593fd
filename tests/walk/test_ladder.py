"""What a service meets on the way to the end of its budget: told, then cheaper, then local and cached, then refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from gateway.core.events import BudgetLevel
from gateway.core.usage import Usage
from tests import loopback
from tests.fixtures.gateway import Config, Running, running

KEY = {"authorization": "Bearer sk-climber"}
PROOF = "Prove rigorously, step by step, that there are infinitely many primes of this kind: "
USD_PER_MTOK = {"claude-opus-5-5": 1_000, "gpt-6.1-terra": 100, "deepseek-flash": 10}
"""So that 100 tokens of output cost ten cents, one cent, and a tenth of a cent."""


def climbing(config: Config, **budget: Any) -> Config:
    """One service with a dollar a month, and models whose input is free."""
    for name, usd in USD_PER_MTOK.items():
        config["models"][name]["price"] = {"input": 0, "output": usd}
    budgets = {"usd": 1, "window": "month", **budget}
    return {**config, "services": [{"name": "climber", "key": "sk-climber", "budget": budgets}]}


def all_say_a_hundred_tokens(upstreams: dict[str, loopback.Upstream]) -> None:
    for upstream in upstreams.values():
        upstream.always(loopback.Answer("So it is.", usage=Usage(10, 100)))


async def prove(gateway: Running, number: int, model: str = "auto") -> httpx.Response:
    return await gateway.ask(f"{PROOF}{number}", model, KEY, max_tokens=100)


async def test_a_budget_ends_in_steps(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    all_say_a_hundred_tokens(four_upstreams)
    async with running(tmp_path, climbing(four_providers)) as gateway:
        answers = [await prove(gateway, number) for number in range(22)]
        cached = await prove(gateway, 0)
        pinned = await prove(gateway, 99, "claude-opus-5-5")
        levels = [event.level for event in gateway.events.told if isinstance(event, BudgetLevel)]
    assert {answer.status_code for answer in answers} == {200}
    models = [answer.headers["x-thriftgate-model"] for answer in answers]
    assert models == ["claude-opus-5-5"] * 9 + ["gpt-6.1-terra"] * 10 + ["local"] * 3
    assert [answer.headers["x-thriftgate-budget"] for answer in answers[:9]] == ["ok"] * 7 + ["warn", "cheaper"]
    assert "x-thriftgate-stepped-down" not in answers[8].headers
    assert answers[9].headers["x-thriftgate-stepped-down"] == "insufficient_quota"
    assert levels == ["warn", "cheaper", "local", "spent"]
    assert cached.headers["x-thriftgate-cache"] == "hit"
    assert pinned.status_code == 429
    assert pinned.json()["error"]["code"] == "insufficient_quota"
    assert pinned.headers["x-should-retry"] == "false"
    assert 0 < int(pinned.headers["retry-after"]) <= 31 * 86_400


async def test_what_a_stand_in_answered_is_not_kept_for_better_times(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    all_say_a_hundred_tokens(four_upstreams)
    async with running(tmp_path, climbing(four_providers, usd=0.05)) as gateway:
        first, again = await prove(gateway, 1), await prove(gateway, 1)
    assert first.headers["x-thriftgate-model"] == again.headers["x-thriftgate-model"] == "gpt-6.1-terra"
    assert again.headers["x-thriftgate-cache"] == "miss"


async def test_a_model_that_was_named_is_paid_to_the_last_cent(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    all_say_a_hundred_tokens(four_upstreams)
    async with running(tmp_path, climbing(four_providers)) as gateway:
        answers = [await prove(gateway, number, "claude-opus-5-5") for number in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]

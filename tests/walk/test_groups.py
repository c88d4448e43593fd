"""What services of a team spend together, and what each may use in a minute, as the configuration says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.gateway import Config, Running, running

TERRA = "gpt-6.1-terra"
LIMIT_TOKENS = 300
"""Of each answer. A request reserves that and its prompt, and uses far less, so some fit into 500 tokens one by one."""


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer key-{name}"}


def service(name: str, **said: Any) -> Config:
    return {"name": name, "key": f"key-{name}", **said}


async def ask(gateway: Running, name: str, number: int) -> httpx.Response:
    """A question of its own, which no cache knows."""
    return await gateway.ask(f"Hello {number}", TERRA, key(name), max_tokens=LIMIT_TOKENS)


async def until_refused(gateway: Running, name: str) -> tuple[int, httpx.Response]:
    """How many were answered before one was not."""
    for answered in range(LIMIT_TOKENS):
        answer = await ask(gateway, name, answered)
        if answer.status_code != 200:
            return answered, answer
    raise AssertionError("nothing was refused")


def error(answer: httpx.Response) -> Mapping[str, Any]:
    assert answer.status_code == 429, answer.text
    found: Mapping[str, Any] = answer.json()["error"]
    return found


@pytest.mark.parametrize("above", ["team", "acme"])
async def test_what_one_service_has_spent_the_others_of_its_group_have_not(
    tmp_path: Path, four_providers: Config, above: str
) -> None:
    budgets = {above: [{"tokens": 500, "window": "month", "time_zone": "Europe/Berlin", "ladder": {"warn": None}}]}
    groups = [{"name": "acme", "budgets": budgets.get("acme", [])}]
    groups.append({"name": "team", "group": "acme", "budgets": budgets.get("team", [])})
    services = [service("a", group="team"), service("b", group="team", budget={"tokens": 10_000}), service("c")]
    async with running(tmp_path, {**four_providers, "groups": groups, "services": services}) as gateway:
        answered, refused = await until_refused(gateway, "a")
        other = await ask(gateway, "b", 1_000)
        stranger = await ask(gateway, "c", 1_000)
    assert answered > 0
    for answer in (refused, other):
        assert error(answer)["code"] == "insufficient_quota"
        assert f"The token budget of '{above}' for this month" in error(answer)["message"]
        assert answer.headers["x-should-retry"] == "false"
    assert stranger.status_code == 200


async def test_a_soft_budget_refuses_nothing(tmp_path: Path, four_providers: Config) -> None:
    services = [service("a", budget={"tokens": 1, "enforcement": "soft"})]
    async with running(tmp_path, {**four_providers, "services": services}) as gateway:
        answers = [await ask(gateway, "a", number) for number in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_tokens_a_minute_are_refused_as_a_rate_and_come_back_soon(tmp_path: Path, four_providers: Config) -> None:
    services = [service("a", limits={"tokens_per_minute": 500}), service("b")]
    async with running(tmp_path, {**four_providers, "services": services}) as gateway:
        answered, refused = await until_refused(gateway, "a")
        other = await ask(gateway, "b", 1_000)
    assert answered > 0
    assert error(refused)["code"] == "rate_limit_exceeded"
    assert "500 tokens a minute" in error(refused)["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-should-retry"] == "true"
    assert other.status_code == 200

"""The figures, over a real gateway: what was answered, and who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.gateway import Config, Running, running

ADMIN = {"authorization": "Bearer admin"}
TERRA = "gpt-6.1-terra"
PATH = "/v1/thriftgate/figures"


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer key-{name}"}


def with_services(config: Config) -> Config:
    services = [
        {"name": "shop", "key": "key-shop", "group": "team", "budget": {"usd": 2.5, "window": "day"}},
        {"name": "search", "key": "key-search", "baseline_model": TERRA},
    ]
    groups = [{"name": "team", "budgets": [{"usd": 100, "window": "month"}]}]
    return {**config, "server": {"admin_key": "admin"}, "services": services, "groups": groups}


async def seen(gateway: Running, headers: Mapping[str, str] = ADMIN, **asked: str) -> Any:
    response = await gateway.http.get(PATH, headers=dict(headers), params=asked)
    assert response.status_code == 200, response.text
    return response.json()


def total(parts: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(part[name]) for part in parts), Decimal(0))


async def test_the_figures_are_what_the_answers_said(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        answers = [
            await gateway.ask("Hello", TERRA, key("shop")),
            await gateway.ask("Hello", TERRA, key("shop")),
            await gateway.ask("Hello", "auto:heavy", key("search")),
        ]
        shown = await seen(gateway)
    cost = total([dict(answer.headers) for answer in answers], "x-thriftgate-cost-usd")
    assert cost > 0
    for period in ("today", "month", "range"):
        assert Decimal(shown[period]["cost_usd"]) == Decimal(shown[period]["total_usd"]) == cost
        assert shown[period]["requests"] == 3
    for division in ("service", "tier", "provider", "model", "cache", "outcome", "day"):
        assert total(shown[f"by_{division}"], "cost_usd") == cost
    assert {part["name"]: part["requests"] for part in shown["by_cache"]} == {"hit": 1, "miss": 2}
    assert shown["complete"] is True
    usage = answers[0].json()["usage"]
    shop = next(part for part in shown["by_service"] if part["name"] == "shop")
    assert (shop["input_tokens"], shop["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])


async def test_savings_less_overhead_are_baseline_less_cost(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        for text in ("Hello", "Hello", "Good morning"):
            await gateway.ask(text, "auto:light", key("search"))
        shown = await seen(gateway)
    sums = {name: Decimal(value) for name, value in shown["month"].items() if name.endswith("_usd")}
    assert sums["baseline_usd"] - sums["compared_usd"] == sums["saved_usd"] - sums["overhead_usd"] > 0
    assert total(shown["saved_by_cause"], "usd") == sums["saved_usd"]
    assert total(shown["baselines"], "usd") == sums["baseline_usd"]
    assert [one["name"] for one in shown["baselines"]] == [TERRA]
    assert total(shown["recent"], "saved_usd") == sums["net_saved_usd"]


async def test_the_latest_request_is_shown_with_its_reasons_and_without_its_words(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await gateway.ask("Good morning", TERRA, key("shop"))
        answer = await gateway.ask("xyzzy is the secret word", "auto", key("search"))
        body = (await gateway.http.get(PATH, headers=ADMIN)).text
        latest, before = (await seen(gateway))["recent"]
    assert before["service"] == "shop"
    assert latest["id"] == answer.headers["x-request-id"]
    assert latest["tier"] == answer.headers["x-thriftgate-tier"]
    assert latest["model"] == answer.headers["x-thriftgate-model"]
    assert latest["cost_usd"] == answer.headers["x-thriftgate-cost-usd"]
    assert (latest["cache"], latest["outcome"], latest["status"]) == ("miss", "ok", 200)
    assert latest["reasons"]
    assert "xyzzy" not in body


async def test_a_failure_is_shown_as_one(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await gateway.ask("Hello", "no-such-model", key("shop"))
        shown = await seen(gateway)
    (latest,) = shown["recent"]
    assert (latest["outcome"], latest["status"], latest["error_code"]) == ("client_error", 404, "model_not_found")
    assert [part["name"] for part in shown["by_model"]] == ["none"]


async def test_a_service_sees_its_own_figures_and_nobody_elses(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        mine = await gateway.ask("Hello", TERRA, key("shop"))
        await gateway.ask("Good morning", TERRA, key("search"))
        own = await seen(gateway, key("shop"))
        narrowed = await seen(gateway, service="shop")
        other = await gateway.http.get(PATH, headers=key("shop"), params={"service": "search"})
    assert (own["service"], own["services"]) == ("shop", ["shop"])
    assert own["month"]["cost_usd"] == mine.headers["x-thriftgate-cost-usd"]
    assert {one["service"] for one in own["recent"]} == {"shop"}
    assert [budget["account"] for budget in own["budgets"]] == ["shop"]
    assert other.status_code == 403
    for changing in ("as_of", "forecast"):
        own.pop(changing), narrowed.pop(changing)
    assert narrowed == own


async def test_the_operator_sees_each_budget_once(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        answer = await gateway.ask("Hello", TERRA, key("shop"))
        budgets = (await seen(gateway))["budgets"]
    assert [(budget["account"], budget["window"]) for budget in budgets] == [
        ("shop", "day"),
        ("team", "month"),
        ("search", "month"),
    ]
    assert budgets[0]["usd"]["used"] == answer.headers["x-thriftgate-cost-usd"]


async def test_after_a_restart_nothing_is_missing(tmp_path: Path, four_providers: Config) -> None:
    config = with_services(four_providers)
    async with running(tmp_path, config) as gateway:
        await gateway.ask("Hello", TERRA, key("shop"))
        await gateway.ask("Hello", "auto", key("search"))
        before = await seen(gateway)
    async with running(tmp_path, config) as gateway:
        await gateway.http.get("/healthz")  # it has started
        await gateway.gateway._tally.read()
        after = await seen(gateway)
    for shown in (before, after):
        shown.pop("as_of"), shown.pop("forecast")
        for one in shown["recent"]:
            one.pop("at")  # the line was written some microseconds later
    assert after == before


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"from": "2001-01-01"}, "from"),
        ({"from": "soon"}, "from"),
        ({"to": "2026-02-31"}, "to"),
        ({"from": datetime.now(UTC).date().isoformat(), "to": "2026-11-01"}, "to"),
    ],
)
async def test_days_that_cannot_be_shown_are_refused_by_name(
    tmp_path: Path, four_providers: Config, asked: dict[str, str], param: str
) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        refused = await gateway.http.get(PATH, headers=ADMIN, params=asked)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param


async def test_one_day_can_be_chosen(tmp_path: Path, four_providers: Config) -> None:
    day = datetime.now(UTC).date().isoformat()
    chosen = {"from": day, "to": day}
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await gateway.ask("Hello", TERRA, key("shop"))
        shown = await seen(gateway, ADMIN, **chosen)
    assert (shown["first_day"], shown["last_day"]) == (day, day)
    assert shown["range"] == shown["today"]


async def test_a_service_that_is_not_there_is_a_404(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        missing = await gateway.http.get(PATH, headers=ADMIN, params={"service": "nobody"})
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:4000"}, 200),
        ({"host": "evil.example"}, 401),
        ({"x-forwarded-for": "203.0.113.7"}, 401),
        ({"authorization": "Bearer wrong"}, 401),
    ],
    ids=["at the machine", "by its name", "by another's name", "through a proxy", "with a wrong key"],
)
async def test_on_loopback_who_sits_at_the_machine_needs_no_key(
    tmp_path: Path, four_providers: Config, headers: dict[str, str], status: int
) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        assert (await gateway.http.get(PATH, headers=headers)).status_code == status


async def test_beyond_loopback_everybody_needs_a_key(tmp_path: Path, four_providers: Config) -> None:
    config = with_services(four_providers)
    config["server"] = {"admin_key": "admin", "host": "0.0.0.0", "public_metrics": True}
    async with running(tmp_path, config) as gateway:
        statuses = [(await gateway.http.get(PATH, headers=headers)).status_code for headers in ({}, key("shop"), ADMIN)]
    assert statuses == [401, 200, 200]


async def test_the_figures_are_described(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        document = (await gateway.http.get("/openapi.json")).json()
        shown = await seen(gateway, {})
    assert {one["name"] for one in document["paths"][PATH]["get"]["parameters"]} == {"from", "to", "service"}
    assert set(document["components"]["schemas"]["FiguresView"]["properties"]) == set(shown)

"""What the operator sees of the services, and a service of its own budget."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.gateway import Config, Running, running
from tests.fixtures.state import Valkey

TERRA = "gpt-6.1-terra"
ADMIN = {"authorization": "Bearer admin"}
BUDGET = {"tokens": 100_000, "usd": 2.5, "window": "day"}


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer key-{name}"}


def with_services(config: Config, **terms: Any) -> Config:
    """`shop` has the terms, `open` has none."""
    services = [{"name": "shop", "key": "key-shop", **terms}, {"name": "open", "key": "key-open"}]
    return {**config, "server": {"admin_key": "admin"}, "services": services}


async def seen(gateway: Running, path: str, headers: dict[str, str] = ADMIN) -> Any:
    response = await gateway.http.get(f"/v1/thriftgate/{path}", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_service_is_shown_with_its_terms(tmp_path: Path, four_providers: Config) -> None:
    terms = {
        "models": [TERRA, "auto"],
        "tiers": ["heavy", "light"],
        "baseline_model": TERRA,
        "tags": {"team": "search"},
        "limits": {"concurrency": 7},
        "cache": {"ttl_s": 60},
        "cache_group": "shared",
    }
    async with running(tmp_path, with_services(four_providers, budget=BUDGET, **terms)) as gateway:
        shop = await seen(gateway, "services/shop")
    assert (shop["name"], shop["models"], shop["baseline_model"]) == ("shop", ["auto", TERRA], TERRA)
    assert (shop["tiers"], shop["tags"]) == (["light", "heavy"], {"team": "search"})
    assert shop["limits"] == {"requests_per_minute": None, "concurrency": 7}
    assert shop["cache"] == {"enabled": True, "semantic": True, "tools": False, "ttl_s": 60, "scope": "group:shared"}
    (budget,) = shop["budgets"]
    assert (budget["account"], budget["window"], budget["time_zone"]) == ("shop", "day", "UTC")
    assert budget["enforcement"] == "hard"
    assert budget["tokens"] == {"limit": 100_000, "used": 0, "remaining": 100_000}
    assert budget["usd"] == {"limit": "2.500000000", "used": "0.000000000", "remaining": "2.500000000"}
    assert budget["level"] == "ok"
    ends = datetime.fromisoformat(budget["window_ends_at"])
    assert datetime.now(UTC) <= ends
    assert (ends.hour, ends.minute, ends.utcoffset()) == (0, 0, datetime.now(UTC).utcoffset())


async def test_what_was_charged_is_what_is_shown_as_used(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers, budget=BUDGET)) as gateway:
        answer = await gateway.ask("Hello", TERRA, key("shop"))
        (budget,) = (await seen(gateway, "services/shop"))["budgets"]
    used = answer.json()["usage"]["total_tokens"]
    assert budget["tokens"] == {"limit": 100_000, "used": used, "remaining": 100_000 - used}
    assert budget["usd"]["used"] == answer.headers["x-thriftgate-cost-usd"] != "0.000000000"
    assert Decimal(budget["usd"]["used"]) + Decimal(budget["usd"]["remaining"]) == Decimal("2.5")


async def test_a_budget_that_is_nearly_spent_shows_its_rung(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers, budget={"tokens": 600})) as gateway:
        answer = await gateway.ask("word " * 60, TERRA, key("shop"), max_tokens=80)
        assert answer.status_code == 200, answer.text
        (budget,) = (await seen(gateway, "services/shop"))["budgets"]
    share = budget["tokens"]["used"] / 600
    assert budget["level"] == ("ok" if share < 0.8 else "warn")
    assert budget["usd"]["limit"] is None
    assert budget["usd"]["remaining"] is None
    assert budget["usd"]["used"] == answer.headers["x-thriftgate-cost-usd"]


async def test_all_services_are_listed_also_those_that_are_only_counted(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers, budget=BUDGET)) as gateway:
        listed = await seen(gateway, "services")
        assert listed["object"] == "list"
        assert [service["name"] for service in listed["data"]] == ["shop", "open"]
        (counter,) = listed["data"][1]["budgets"]
    assert (counter["window"], counter["enforcement"], counter["level"]) == ("month", "soft", "ok")
    assert counter["tokens"] == {"limit": None, "used": 0, "remaining": None}


async def test_without_services_there_is_the_one_that_everybody_is(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, {**four_providers, "server": {"admin_key": "admin"}}) as gateway:
        assert [service["name"] for service in (await seen(gateway, "services"))["data"]] == ["default"]
        assert (await seen(gateway, "budget", {}))["service"] == "default"


async def test_a_service_sees_its_own_budgets_and_nobody_elses(tmp_path: Path, four_providers: Config) -> None:
    groups = [{"name": "team", "budgets": [{"usd": 100, "window": "month"}]}]
    config = {**with_services(four_providers, budget=BUDGET, group="team"), "groups": groups}
    async with running(tmp_path, config) as gateway:
        operators = (await seen(gateway, "services/shop"))["budgets"]
        own = await seen(gateway, "budget", key("shop"))
        other = await seen(gateway, "budget", key("open"))
    assert [budget["account"] for budget in operators] == ["shop", "team"]
    assert own["service"] == "shop"
    assert [budget["tokens"]["limit"] for budget in own["budgets"]] == [100_000]
    assert [budget["account"] for budget in other["budgets"]] == ["open"]


@pytest.mark.parametrize("path", ["services", "services/shop", "services/nobody"])
async def test_only_the_operator_sees_services(tmp_path: Path, four_providers: Config, path: str) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        nobody, service, stranger = [
            (await gateway.http.get(f"/v1/thriftgate/{path}", headers=headers)).status_code
            for headers in ({}, key("shop"), {"x-api-key": "wrong"})
        ]
    assert [nobody, service, stranger] == [401, 403, 401]


async def test_a_service_that_is_not_there_is_a_404(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        missing = await gateway.http.get("/v1/thriftgate/services/nobody", headers=ADMIN)
    assert missing.status_code == 404
    assert "`nobody`" in missing.json()["error"]["message"]


async def test_while_the_ledger_is_away_sums_are_null_and_never_zero(
    tmp_path: Path, four_providers: Config, own_valkey: Any
) -> None:
    valkey: Valkey = own_valkey()
    config = {**with_services(four_providers, budget=BUDGET), "state": {"redis_url": valkey.url, "timeout_ms": 200}}
    async with running(tmp_path, config) as gateway:
        valkey.kill()
        shop = await seen(gateway, "services/shop")
        own = await gateway.http.get("/v1/thriftgate/budget", headers=key("shop"))
    (budget,) = shop["budgets"]
    assert "cannot be checked" in shop["budgets_unavailable"]
    assert budget["tokens"] == {"limit": 100_000, "used": None, "remaining": None}
    assert budget["usd"] == {"limit": "2.500000000", "used": None, "remaining": None}
    assert (budget["level"], budget["window_ends_at"]) == (None, None)
    assert (own.status_code, own.json()["error"]["code"]) == (503, "budget_unavailable")
    assert int(own.headers["retry-after"]) >= 1


async def test_the_operators_routes_are_described(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        document = (await gateway.http.get("/openapi.json")).json()
    view = document["paths"]["/v1/thriftgate/services/{name}"]["get"]["responses"]["200"]["content"]
    assert view["application/json"]["schema"]["$ref"].endswith("/ServiceView")
    assert {"/v1/thriftgate/services", "/v1/thriftgate/budget", "/v1/thriftgate/reload"} <= set(document["paths"])

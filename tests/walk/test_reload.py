"""A changed configuration is served without dropping a stream, and a wrong one changes nothing (FAULTS #38)."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.core.errors import InvalidConfiguration
from gateway.core.events import Reloaded, RequestFinished, Stored
from tests import loopback
from tests.fixtures.gateway import Config, Running, chat, running

TERRA = "gpt-6.1-terra"
PRICE = {"input": 1, "output": 2}
ADMIN = {"authorization": "Bearer admin"}
SHOP = {"authorization": "Bearer key-shop"}


def with_shop(config: Config, **service: Any) -> Config:
    return {
        **config,
        "server": {"admin_key": "admin"},
        "services": [{"name": "shop", "key": "key-shop", **service}],
    }


def rewrite(folder: Path, config: Config) -> None:
    """What an operator does to the file that `running` wrote."""
    own = {"data_dir": str(folder / "state"), "embedder": {"engine": "none"}}
    (folder / "gateway.yaml").write_text(yaml.safe_dump({**own, **config}))


async def reload(gateway: Running, headers: dict[str, str] = ADMIN) -> httpx.Response:
    return await gateway.http.post("/v1/thriftgate/reload", headers=headers)


async def metric(gateway: Running, name: str) -> float | None:
    text = (await gateway.http.get("/metrics", headers=ADMIN)).text
    rows = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"thriftgate_{name} ")]
    return float(rows[0]) if rows else None


async def streamed(gateway: Running, text: str) -> tuple[str, bool]:
    """The text of one streamed answer, and whether it ended well."""
    said, done = "", False
    body = chat(text, TERRA, stream=True)
    async with gateway.http.stream("POST", "/v1/chat/completions", json=body, headers=SHOP) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                done = True
            elif line.startswith("data: "):
                for choice in json.loads(line[6:])["choices"]:
                    said += choice["delta"].get("content") or ""
    return said, done


async def test_twenty_streams_go_through_a_reload_whole(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks, loopback.Answer("one two three four five")))
    config = with_shop(four_providers, models=[TERRA])
    async with running(tmp_path, config) as gateway:
        streams = [asyncio.ensure_future(streamed(gateway, f"question {number}")) for number in range(20)]
        await openai_upstream.arrival(20)
        for _ in range(40):
            ticks.release()
        rewrite(tmp_path, with_shop(four_providers, models=["claude-opus-5-5"]))
        assert (await reload(gateway)).json() == {"reloaded": True, "detail": "services: 1, models: 4"}
        refused = await gateway.ask("a new question", TERRA, SHOP)
        for _ in range(60):
            ticks.release()
        answers = await asyncio.gather(*streams)
        finished = [await gateway.events.next(RequestFinished) for _ in range(21)]
    assert answers == [("one two three four five", True)] * 20
    assert refused.status_code == 403, "a request that comes after the reload is served by it"
    assert [event.outcome for event in finished].count("ok") == 20


async def test_an_old_generation_is_forgotten_with_its_last_request(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks, loopback.Answer("one two")))
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        old = weakref.ref(gateway.gateway.front.routes["/v1/chat/completions"].handle)
        stream = asyncio.ensure_future(streamed(gateway, "question"))
        await openai_upstream.arrival()
        await gateway.gateway.reload()
        ticks.release()
        ticks.release()
        assert await stream == ("one two", True)
        gc.collect()
        assert old() is None


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("server: {port: [", "is not valid YAML"),
        ("surprise: 1", "`surprise`: is not a setting"),
        ("services: [{name: shop, key: os.environ/NOT_THERE}]", "NOT_THERE is not set"),
        ("models: {unpriced: {provider: openai, tier: light}}", "`models.unpriced` has no price"),
        ("state: {redis_url: 'redis://:hunter2@elsewhere'}", "`state.redis_url` changes only with a restart"),
    ],
)
async def test_a_wrong_configuration_changes_nothing_and_says_why(
    tmp_path: Path, four_providers: Config, broken: str, says: str
) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        served = tmp_path / "served.yaml"
        (tmp_path / "gateway.yaml").rename(served)
        (tmp_path / "gateway.yaml").write_text(f"include: {served}\n{broken}\n")
        refused = await reload(gateway)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (400, "invalid_configuration")
        assert says in error["message"]
        assert "hunter2" not in error["message"]
        assert (await gateway.ask("Hello", TERRA, SHOP)).status_code == 200
        told = await gateway.events.next(Reloaded)
        assert (told.ok, says in told.detail) == (False, True)
        assert await metric(gateway, 'config_reloads_total{result="refused"}') == 1
        assert await metric(gateway, "config_last_reload_success") == 0
        served.rename(tmp_path / "gateway.yaml")
        assert (await reload(gateway)).status_code == 200
        assert await metric(gateway, "config_last_reload_success") == 1
        assert (await metric(gateway, "config_last_reload_success_timestamp_seconds") or 0) > 1_700_000_000


async def test_every_problem_is_told_at_once(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        rewrite(tmp_path, {**with_shop(four_providers), "surprise": 1, "another": 2})
        message = (await reload(gateway)).json()["error"]["message"]
    assert "`surprise`" in message
    assert "`another`" in message


async def test_only_the_admin_reloads(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        nobody, service, stranger = [await reload(gateway, headers) for headers in ({}, SHOP, {"x-api-key": "?"})]
        assert [nobody.status_code, service.status_code, stranger.status_code] == [401, 403, 401]
        assert service.json()["error"]["code"] == "admin_only"
        assert not [event for event in gateway.events.told if isinstance(event, Reloaded)]


async def test_keys_models_prices_and_addresses_change(
    tmp_path: Path, four_providers: Config, anthropic_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        assert (await gateway.ask("Hello", "auto:heavy", SHOP)).headers["x-thriftgate-model"] == "claude-opus-5-5"
        models = {**four_providers["models"]}
        models["opus"] = {**models.pop("claude-opus-5-5"), "upstream": "claude-opus-5-5", "price": PRICE}
        async with loopback.serve(loopback.Anthropic()) as elsewhere:
            anthropic = {"kind": "anthropic", "base_url": elsewhere.base_url, "api_key": elsewhere.api_key}
            providers = {**four_providers["providers"], "anthropic": anthropic}
            changed = {**four_providers, "models": models, "providers": providers}
            rewrite(
                tmp_path,
                {**changed, "server": {"admin_key": "other"}, "services": [{"name": "newcomer", "key": "key-new"}]},
            )
            assert (await reload(gateway)).status_code == 200
            assert (await gateway.ask("Hello", "auto:heavy", SHOP)).status_code == 401
            new = {"authorization": "Bearer key-new"}
            answer = await gateway.ask("Hello again", "auto:heavy", new)
            assert answer.headers["x-thriftgate-model"] == "opus"
            assert len(elsewhere.requests) == 1
        assert (await reload(gateway)).status_code == 401, "the admin key has changed too"
    assert len(anthropic_upstream.requests) == 1


async def test_counters_go_on_and_new_names_have_their_own(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        await gateway.ask("Hello", TERRA, SHOP)
        rewrite(
            tmp_path,
            {
                **with_shop(four_providers),
                "services": [{"name": "late", "key": "key-late"}, {"name": "shop", "key": "key-shop"}],
            },
        )
        await reload(gateway)
        await gateway.ask("Hello", TERRA, {"authorization": "Bearer key-late"})
        await gateway.ask("Hello again", TERRA, SHOP)
        text = (await gateway.http.get("/metrics", headers=ADMIN)).text
    counted = {
        name: sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("thriftgate_requests_total{") and f'service="{name}"' in line
        )
        for name in ("shop", "late", "other")
    }
    assert counted == {"shop": 2, "late": 1, "other": 0}


async def test_answers_stored_before_a_reload_are_had_after_it(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        await gateway.ask("Hello", TERRA, SHOP)
        rewrite(tmp_path, {**with_shop(four_providers), "cache": {"exact": {"memory_bytes": 0}}})
        await reload(gateway)
        assert (await gateway.ask("Hello", TERRA, SHOP)).headers["x-thriftgate-cache"] == "hit"
        rewrite(tmp_path, {**with_shop(four_providers), "cache": {"exact": {"enabled": False}}})
        await reload(gateway)
        assert (await gateway.ask("Hello", TERRA, SHOP)).headers["x-thriftgate-cache"] == "bypass"


async def test_two_reloads_at_once_take_turns(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        answers = await asyncio.gather(*(reload(gateway) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_whatever_breaks_a_reload_is_told(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_shop(four_providers)) as gateway:
        (tmp_path / "gateway.yaml").unlink()
        with pytest.raises(InvalidConfiguration, match="cannot be read"):
            await gateway.gateway.reload()
        assert not (await gateway.events.next(Reloaded)).ok
        assert (await gateway.ask("Hello", TERRA, SHOP)).status_code == 200


async def test_a_raised_budget_and_a_new_group_hold_at_once(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_shop(four_providers, budget={"tokens": 1})) as gateway:
        assert (await gateway.ask("Hello", TERRA, SHOP)).json()["error"]["code"] == "insufficient_quota"
        rewrite(tmp_path, with_shop(four_providers, budget={"tokens": 100_000}))
        await reload(gateway)
        assert (await gateway.ask("Hello", TERRA, SHOP)).status_code == 200
        groups = [{"name": "team", "budgets": [{"tokens": 1}]}]
        rewrite(tmp_path, {**with_shop(four_providers, budget={"tokens": 100_000}, group="team"), "groups": groups})
        await reload(gateway)
        refused = await gateway.ask("Another question", TERRA, SHOP)
    assert (refused.status_code, "team" in refused.json()["error"]["message"]) == (429, True)


async def test_the_semantic_layer_is_switched_on_and_off(tmp_path: Path, four_providers: Config) -> None:
    def with_semantic(enabled: bool) -> Config:
        semantic = {"enabled": enabled, "deadline_ms": 60_000, "shadow_share": 0}
        return {**with_shop(four_providers), "embedder": {"engine": "onnx"}, "cache": {"semantic": semantic}}

    asked, paraphrased = "Name the capital city of France.", "Name the capital city of France, please."
    refresh = {"cache": "refresh"}
    async with running(tmp_path, with_semantic(False)) as gateway:
        while (await gateway.http.get("/readyz")).status_code != 200:
            pass
        rewrite(tmp_path, with_semantic(True))
        await reload(gateway)
        while Stored("semantic", "shop") not in gateway.events.told:  # once the index has been opened behind
            await gateway.ask(asked, TERRA, SHOP, thriftgate=refresh)
        hit = await gateway.ask(paraphrased, TERRA, SHOP)
        rewrite(tmp_path, with_semantic(False))
        await reload(gateway)
        miss = await gateway.ask(paraphrased, TERRA, SHOP)
    assert [answer.headers["x-thriftgate-cache"] for answer in (hit, miss)] == ["semantic-hit", "miss"]

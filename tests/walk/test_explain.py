"""`POST /v1/thriftgate/explain`: the decision that a request would meet, without the request."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.core.events import RequestFinished
from tests.fixtures.gateway import Config, Running, chat, running
from tests.loopback import Upstream
from tests.walk.test_routing import FLASH, LIGHT_ENOUGH, OPUS, TERRA, aiming

PATH = "/v1/thriftgate/explain"
ADMIN = {"authorization": "Bearer admin"}


async def explained(
    gateway: Running, text: str, headers: dict[str, str] | None = None, query: str = "", **body: Any
) -> Any:
    answer = await gateway.http.post(PATH + query, json=chat(text, **body), headers=headers or {})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_it_tells_what_the_same_request_then_meets(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, aiming(four_providers, 0.9)) as gateway:
        said = await explained(gateway, LIGHT_ENOUGH)
        answer = await gateway.ask(LIGHT_ENOUGH)
    assert said["tier"] == answer.headers["x-thriftgate-tier"]
    assert said["candidates"][0]["model"] == answer.headers["x-thriftgate-model"]
    assert "; ".join(said["reasons"]) == answer.headers["x-thriftgate-route-reason"]


async def test_it_asks_nobody_and_tells_no_event(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, Upstream]
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        await explained(gateway, "Prove it.")
    assert [upstream.requests for upstream in four_upstreams.values()] == [[], [], [], []]
    assert not [event for event in gateway.events.told if isinstance(event, RequestFinished)]


async def test_the_forecast_has_reasons_and_says_whether_it_decides(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, aiming(four_providers, 0.98)) as gateway:
        like = await explained(gateway, LIGHT_ENOUGH)
        unlike = await explained(gateway, "Wombats dig.")
        nothing = await explained(gateway, " ")
    assert like["policy"]["kind"] == "quality_target"
    assert len(like["policy"]["version"]) == 8
    assert like["forecast"]["decides"]
    assert like["forecast"]["reasons"]
    assert 0 <= like["forecast"]["light_will_do"] <= 1
    assert (unlike["forecast"]["decides"], unlike["forecast"]["trust"]) == (False, 0.0)
    assert nothing["forecast"] is None


async def test_each_model_has_its_place_its_price_or_what_is_in_its_way(tmp_path: Path, four_providers: Config) -> None:
    models = four_providers["models"]
    narrow = {**models[FLASH], "context_tokens": 100}
    hidden = {**models[OPUS], "routed": False}
    config = {
        **four_providers,
        "models": {**models, FLASH: narrow, OPUS: hidden, "local": {**models["local"], "tools": False}},
    }
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    async with running(tmp_path, config) as gateway:
        said = await explained(gateway, "word " * 200, tools=tools)
    by_name = {candidate["model"]: candidate for candidate in said["candidates"]}
    assert (by_name[TERRA]["place"], by_name[TERRA]["in_the_way"]) == (1, [])
    assert Decimal(by_name[TERRA]["expected_usd"]) > 0
    assert by_name["local"]["in_the_way"] == ["calls no tools"]
    assert by_name[OPUS]["in_the_way"] == ["only for who names it (routed: false)"]
    (window,) = by_name[FLASH]["in_the_way"]
    assert window.startswith("window of 100 tokens, ")


async def test_a_pinned_model_is_explained_as_such(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        said = await explained(gateway, "Hello", model=OPUS)
    assert (said["pinned"], said["reasons"]) == (True, ["pinned"])
    assert [candidate["in_the_way"] for candidate in said["candidates"][1:]] == [["not asked for"]] * 3


def two_services(config: Config) -> Config:
    own = {"name": "shop", "key": "key-shop", "routing": {"max_tier": "light"}}
    other = {"name": "lab", "key": "key-lab", "routing": {"quality_target": 0.98}}
    return {**config, "server": {"admin_key": "admin"}, "services": [own, other]}


async def test_a_key_has_its_own_service_explained_and_the_operator_any(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, two_services(four_providers)) as gateway:
        own = await explained(gateway, "Prove it.", {"authorization": "Bearer key-shop"})
        any_ = await explained(gateway, "Prove it.", ADMIN, "?service=lab")
    assert (own["service"], own["policy"]["kind"], own["tier"]) == ("shop", "rules", "light")
    assert (any_["service"], any_["policy"]["kind"]) == ("lab", "quality_target")
    heavy = next(candidate for candidate in own["candidates"] if candidate["model"] == OPUS)
    assert heavy["in_the_way"] == ["tier heavy is not for service shop"]


@pytest.mark.parametrize(
    ("key", "query", "status", "param"),
    [
        ("", "", 401, None),
        ("wrong", "", 401, None),
        ("key-shop", "?service=lab", 403, None),
        ("admin", "", 400, "service"),
        ("admin", "?service=nobody", 404, "name"),
    ],
)
async def test_who_may_not_ask_is_told_so(
    tmp_path: Path, four_providers: Config, key: str, query: str, status: int, param: str | None
) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with running(tmp_path, two_services(four_providers)) as gateway:
        answer = await gateway.http.post(PATH + query, json=chat("Hello"), headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize(
    ("content", "param"),
    [(b"{", None), (b'{"messages": []}', "model"), (b'{"model": "auto", "messages": [], "thriftgate": 1}', "messages")],
)
async def test_what_is_no_request_is_refused_as_a_request_is(
    tmp_path: Path, four_providers: Config, content: bytes, param: str | None
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.http.post(PATH, content=content)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_it_is_described(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        route = (await gateway.http.get("/openapi.json")).json()["paths"][PATH]["post"]
    assert route["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/ExplanationView")
    assert route["requestBody"]["content"]["application/json"]["schema"]["required"] == ["model", "messages"]

"""The operator mints, rotates and revokes keys by request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.gateway import Config, Running, running

TERRA = "gpt-6.1-terra"
ADMIN = {"authorization": "Bearer admin"}
CONFIGURED = {"authorization": "Bearer key-shop"}


def with_services(config: Config) -> Config:
    services = [{"name": name, "key": f"key-{name}"} for name in ("shop", "other")]
    return {**config, "server": {"admin_key": "admin"}, "services": services}


async def call(
    gateway: Running, method: str, path: str, headers: dict[str, str] = ADMIN, **sent: Any
) -> httpx.Response:
    return await gateway.http.request(method, f"/v1/thriftgate/services/{path}", headers=headers, **sent)


async def minted(gateway: Running, **wanted: Any) -> dict[str, Any]:
    response = await call(gateway, "POST", "shop/keys", json=wanted)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    key: dict[str, Any] = response.json()
    return key


async def works(gateway: Running, key: str) -> bool:
    response = await gateway.ask("Hello", TERRA, {"authorization": f"Bearer {key}"})
    assert response.status_code in (200, 401)
    return response.status_code == 200


async def test_a_minted_key_works_at_once_and_is_shown_only_once(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        key = await minted(gateway, name="ci")
        assert await works(gateway, key["key"])
        listed = (await call(gateway, "GET", "shop/keys")).json()
        others = (await call(gateway, "GET", "other/keys")).json()
    assert key["key"].startswith(f"{key['prefix']}-")
    (row,) = listed["data"]
    assert row == {name: value for name, value in key.items() if name != "key"}
    assert (row["service"], row["name"], row["state"], row["expires_at"]) == ("shop", "ci", "good", None)
    assert others["data"] == []
    assert key["key"].removeprefix(key["prefix"]) not in str(listed)


async def test_a_revoked_key_is_refused_from_that_moment_on(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        key = await minted(gateway)
        assert await works(gateway, key["key"])
        first = await call(gateway, "DELETE", f"shop/keys/{key['id']}")
        assert not await works(gateway, key["key"])
        again = await call(gateway, "DELETE", f"shop/keys/{key['id']}")
    assert (first.status_code, first.json()["state"]) == (200, "revoked")
    assert again.json() == first.json()


async def test_a_rotated_key_is_good_during_its_grace(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        old = await minted(gateway, name="ci")
        new = (await call(gateway, "POST", f"shop/keys/{old['id']}/rotate", json={"grace_s": 3_600})).json()
        assert [await works(gateway, key["key"]) for key in (old, new)] == [True, True]
        newest = (await call(gateway, "POST", f"shop/keys/{new['id']}/rotate", json={"grace_s": 0})).json()
        assert [await works(gateway, key["key"]) for key in (new, newest)] == [False, True]
        refused = await call(gateway, "POST", f"shop/keys/{new['id']}/rotate")
    assert new["name"] == "ci"
    assert refused.status_code == 400
    assert "expired" in refused.json()["error"]["message"]


async def test_a_key_may_have_an_end(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        key = await minted(gateway, expires_in_s=3_600)
    lifetime = datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])
    assert lifetime == timedelta(hours=1)
    assert datetime.fromisoformat(key["created_at"]) <= datetime.now(UTC)


@pytest.mark.parametrize("headers", [{}, CONFIGURED, {"x-api-key": "wrong"}])
async def test_only_the_operator_touches_keys(tmp_path: Path, four_providers: Config, headers: dict[str, str]) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        asked = [("GET", "shop/keys"), ("POST", "shop/keys"), ("DELETE", "shop/keys/a"), ("POST", "shop/keys/a/rotate")]
        answers = [await call(gateway, method, path, headers) for method, path in asked]
        unread = await call(gateway, "POST", "shop/keys", headers, json={"surprise": 1})
        assert (await call(gateway, "GET", "shop/keys")).json()["data"] == []
    status = 403 if headers is CONFIGURED else 401
    assert [answer.status_code for answer in (*answers, unread)] == [status] * 5


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "param"),
    [
        ("POST", "nobody/keys", {}, 404, "name"),
        ("GET", "nobody/keys", {}, 404, "name"),
        ("DELETE", "shop/keys/abcdefgh", {}, 404, "id"),
        ("POST", "shop/keys/abcdefgh/rotate", {}, 404, "id"),
        ("POST", "shop/keys", {"json": {"surprise": 1}}, 400, "surprise"),
        ("POST", "shop/keys", {"json": {"expires_in_s": 0}}, 400, "expires_in_s"),
        ("POST", "shop/keys", {"json": {"name": "two\nlines"}}, 400, "name"),
        ("POST", "shop/keys", {"json": {"name": "x" * 20_000}}, 413, None),
    ],
)
async def test_what_cannot_be_done_names_the_field(
    tmp_path: Path, four_providers: Config, method: str, path: str, sent: dict[str, Any], status: int, param: str | None
) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        response = await call(gateway, method, path, **sent)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


async def test_an_endless_body_is_not_read(tmp_path: Path, four_providers: Config) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 1_024

    async with running(tmp_path, with_services(four_providers)) as gateway:
        json_headers = {**ADMIN, "content-type": "application/json"}
        response = await call(gateway, "POST", "shop/keys", json_headers, content=endless())
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


async def test_another_services_key_is_not_found(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        key = await minted(gateway)
        assert (await call(gateway, "DELETE", f"other/keys/{key['id']}")).status_code == 404
        assert (await call(gateway, "POST", f"other/keys/{key['id']}/rotate")).status_code == 404
        assert await works(gateway, key["key"])


async def test_without_services_nobody_needs_a_key(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, {**four_providers, "server": {"admin_key": "admin"}}) as gateway:
        refused = await call(gateway, "POST", "default/keys")
    assert refused.status_code == 400
    assert "`services:`" in refused.json()["error"]["message"]


async def test_keys_minted_at_once_are_all_kept(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        keys = await asyncio.gather(*(minted(gateway) for _ in range(8)))
        listed = (await call(gateway, "GET", "shop/keys")).json()["data"]
    assert {row["id"] for row in listed} == {key["id"] for key in keys}
    assert len(listed) == 8


async def test_a_damaged_file_of_keys_is_a_503_that_names_it(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        key = await minted(gateway)
        assert await works(gateway, key["key"])
        (tmp_path / "state" / "keys.json").write_text("{")
        refused = await call(gateway, "POST", "shop/keys")
        assert await works(gateway, key["key"]), "keys that were good stay good"
    assert refused.status_code == 503
    assert "keys.json" in refused.json()["error"]["message"]
    assert key["key"] not in refused.text


async def test_a_minted_key_survives_a_reload(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        key = await minted(gateway)
        assert (await gateway.http.post("/v1/thriftgate/reload", headers=ADMIN)).status_code == 200
        assert await works(gateway, key["key"])

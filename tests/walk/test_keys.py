"""Minted keys, from the command line to the door of a gateway that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from openai import AsyncOpenAI

from gateway.adapters.clock import SystemClock
from gateway.adapters.key_file import KeyFile
from gateway.core.events import Degraded, Recovered
from tests.fixtures.gateway import Config, Running, chat, running
from tests.fixtures.process import COMMAND

SERVICES = {"services": [{"name": "shop", "tiers": ["light"]}, {"name": "search", "key": "key-search"}]}


def key(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def keys(folder: Path, *arguments: str) -> str:
    """`thriftgate keys` as a process beside the gateway."""
    command = (COMMAND[0], "keys", *arguments, "--config", str(folder / "gateway.yaml"))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    said, told = await process.communicate()
    assert process.returncode == 0, told
    return said.decode().strip()


async def refused(gateway: Running, secret: str) -> httpx.Response:
    """Asks until the gateway has seen that the key is over."""
    while (answer := await gateway.http.get("/v1/models", headers=key(secret))).status_code == 200:
        pass
    assert answer.status_code == 401
    return answer


async def test_a_key_works_from_its_first_request_until_it_is_revoked(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, {**four_providers, **SERVICES}) as gateway:
        secret = await keys(tmp_path, "create", "shop")
        answer = await gateway.ask("Hello", headers=key(secret))
        assert answer.status_code == 200
        await keys(tmp_path, "revoke", secret[3:11])
        error = (await refused(gateway, secret)).json()["error"]
    assert error["code"] == "invalid_api_key"
    assert error["message"].startswith("This API key was revoked at 20")


async def test_both_keys_work_after_a_rotation(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, {**four_providers, **SERVICES}) as gateway:
        old = await keys(tmp_path, "create", "shop")
        new = await keys(tmp_path, "rotate", old[3:11], "--grace", "1h")
        for secret in (old, new):
            assert (await gateway.ask("Hello", headers=key(secret))).status_code == 200
        await keys(tmp_path, "revoke", old[3:11])
        await refused(gateway, old)
        assert (await gateway.ask("Hello", headers=key(new))).status_code == 200


async def test_a_minted_key_works_in_the_sdk_and_keys_of_the_configuration_go_on(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, {**four_providers, **SERVICES}) as gateway:
        secret = await keys(tmp_path, "create", "shop")
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=0) as client:
            whole = await client.chat.completions.create(**chat("Hello"))
        assert whole.choices[0].message.content == "You said: Hello"
        assert (await gateway.ask("Hello", headers=key("key-search"))).status_code == 200


async def test_as_soon_as_there_is_a_service_nobody_comes_in_without_a_key(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, {**four_providers, "services": [{"name": "shop"}]}) as gateway:
        for headers in ({}, key("anything"), key("tg-abcd1234-" + "x" * 43)):
            answer = await gateway.ask("Hello", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_a_services_tiers_bound_what_auto_uses_and_what_is_listed(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, {**four_providers, **SERVICES}) as gateway:
        secret = await keys(tmp_path, "create", "shop")
        proof = await gateway.ask("Prove that the square root of two is irrational.", headers=key(secret))
        heavy = await gateway.ask("Hello", "auto:heavy", headers=key(secret))
        listed = (await gateway.http.get("/v1/models", headers=key(secret))).json()["data"]
    assert proof.headers["x-thriftgate-tier"] == "light"
    assert "heavy is not for this service: light instead" in proof.headers["x-thriftgate-route-reason"]
    assert (heavy.status_code, heavy.json()["error"]["param"]) == (403, "model")
    assert {"auto", "auto:light"} <= {row["id"] for row in listed}
    assert not {"auto:medium", "auto:heavy"} & {row["id"] for row in listed}


async def test_keys_outlive_their_file_and_no_secret_is_told(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, {**four_providers, **SERVICES}) as gateway:
        file = KeyFile(tmp_path / "state/keys.json", SystemClock())
        secret = file.create("shop").secret
        assert (await gateway.ask("Hello", headers=key(secret))).status_code == 200
        good = file.path.read_text()
        file.path.write_text("{")
        while not any(isinstance(event, Degraded) for event in gateway.events.told):
            assert (await gateway.ask("Hello", headers=key(secret))).status_code == 200
        metrics = (await gateway.http.get("/metrics")).text
        file.path.write_text(good)
        while Recovered("keys") not in gateway.events.told:
            assert (await gateway.ask("Hello", headers=key(secret))).status_code == 200
        told = repr(gateway.events.told)
    assert 'thriftgate_degraded{component="keys"} 1.0' in metrics
    assert str(file.path) in told
    assert secret[12:] not in told + metrics


@pytest.mark.parametrize("broken", ["{", '{"version": 1, "keys": [{"id": "secret-thing"}]}'])
async def test_a_gateway_does_not_start_with_a_file_of_keys_that_it_cannot_read(tmp_path: Path, broken: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/keys.json").write_text(broken)
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "providers: {far: {kind: openai, base_url: 'http://127.0.0.1:9/v1', api_key: unused}}\n"
        "models: {m: {provider: far, tier: light, price: free}}\n"
        f"services: [{{name: shop}}]\ndata_dir: {tmp_path}/state\nembedder: {{engine: none}}\n"
    )
    pipe = asyncio.subprocess.PIPE
    command = (*COMMAND, "--config", str(file), "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    _, told = await process.communicate()
    assert process.returncode == 1
    assert b"keys.json is not a file of keys" in told
    assert b"secret-thing" not in told

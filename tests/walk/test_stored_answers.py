"""A gateway asks its state server only for what may be there, and never misses what is."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

import httpx
import yaml

from gateway.adapters.redis_client import connect
from gateway.adapters.redis_keys import cached_answer
from gateway.adapters.valkey_child import url_of
from tests.fixtures.gateway import Config, Running, chat, running
from tests.fixtures.process import serving
from tests.fixtures.state import PATIENT_S

TERRA = "gpt-6.1-terra"
NOTHING_IN_MEMORY = {"cache": {"exact": {"memory_bytes": 0}}}


def embedded(config: Config) -> Config:
    """With a state server of its own, which alone keeps answers."""
    return {**config, **NOTHING_IN_MEMORY, "state": {"timeout_ms": 30_000}}


def verdict(answer: httpx.Response) -> str:
    return str(answer.headers["x-thriftgate-cache"])


async def ask(gateway: Running, text: str) -> str:
    return verdict(await gateway.ask(text, TERRA))


async def is_written(url: str) -> None:
    """Until the state server has an answer."""
    client = connect(url, timeout_s=PATIENT_S)
    while not await client.keys(cached_answer("*")):
        pass
    await client.aclose()


async def asks_no_more(gateway: Running, url: str) -> None:
    """Until a question that nobody has asked is a miss without a GET."""
    client = connect(url, timeout_s=PATIENT_S)
    before, after = -1, 0
    while after != before:
        before = after
        assert await ask(gateway, f"Nobody asked {token_hex()}") == "miss"
        after = (await client.info("commandstats")).get("cmdstat_get", {"calls": 0})["calls"]
    await client.aclose()


async def test_an_answer_is_found_after_a_restart_a_reload_and_a_kill_of_its_server(
    tmp_path: Path, four_providers: Config
) -> None:
    config, url = embedded(four_providers), url_of(tmp_path / "state")
    async with running(tmp_path, config) as gateway:
        await asks_no_more(gateway, url)
        assert await ask(gateway, "Hello") == "miss"
    async with running(tmp_path, config) as gateway:
        await asks_no_more(gateway, url)
        assert [await ask(gateway, "Hello"), await ask(gateway, "Hello again")] == ["hit", "miss"]
        await gateway.gateway.reload()
        assert await ask(gateway, "Hello") == "hit"
        os.kill(int((tmp_path / "state/valkey.pid").read_text().split()[0]), signal.SIGKILL)
        while await ask(gateway, "Hello") != "hit":
            pass


async def test_two_gateways_with_one_state_server_find_each_others_answers(
    tmp_path: Path, four_providers: Config, redis_url: str
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with (
        running(tmp_path / "one", {**four_providers, **NOTHING_IN_MEMORY}) as one,
        running(tmp_path / "other", {**four_providers, **NOTHING_IN_MEMORY}) as other,
    ):
        assert await ask(one, "Hello") == "miss"
        await is_written(redis_url)
        assert await ask(other, "Hello") == "hit"


async def test_two_workers_find_each_others_answers(tmp_path: Path, four_providers: Config) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump({"embedder": {"engine": "none"}, **embedded(four_providers)}))
    with serving(tmp_path / "state", "--config", str(file), "--workers", "2") as served:
        served.wait_for(r"\] ready$")
        assert verdict(await once(served.url, chat("Hello", TERRA))) == "miss"
        await is_written(url_of(tmp_path / "state"))
        assert {verdict(await once(served.url, chat("Hello", TERRA))) for _ in range(32)} == {"hit"}


async def once(url: str, body: Mapping[str, object]) -> httpx.Response:
    """Over a connection of its own, so that the kernel chooses the worker anew."""
    async with httpx.AsyncClient(base_url=url, timeout=60.0, trust_env=False, verify=False) as http:
        return await http.post("/v1/chat/completions", json=body)

"""`thriftgate ledger verify`, beside a gateway that runs and after one that has stopped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway.adapters.data_dir import DataDir
from gateway.adapters.redis_client import connect
from gateway.adapters.valkey_child import ValkeyChild
from gateway.offline.ledger_proof import DIFFERENT, EQUAL, UNUSABLE, prove
from gateway.settings import Settings, load
from tests import loopback
from tests.fixtures.gateway import running
from tests.fixtures.process import COMMAND

MODEL = {
    "provider": "openai",
    "tier": "light",
    "price": {"input": 1, "output": 2},
    "limit_field": "max_completion_tokens",
    "sampling": False,
    "source": "tests/loopback",
    "checked": "2026-11-23",
}


@pytest.fixture
async def served(tmp_path: Path, openai_upstream: loopback.Upstream) -> Settings:
    """The settings of a gateway that answered three requests, was asked by `verify` meanwhile, and stopped."""
    provider = {"kind": "openai", "base_url": openai_upstream.base_url, "api_key": openai_upstream.api_key}
    config = {"providers": {"openai": provider}, "models": {"gpt-6.1-terra": MODEL}, "state": {"timeout_ms": 30_000}}
    async with running(tmp_path, config) as gateway:
        settings = load(tmp_path / "gateway.yaml", {}).settings
        for text in "abc":
            assert (await gateway.ask(text, "gpt-6.1-terra")).status_code == 200
        status, said = await prove(settings, [], as_json=False)
        assert status == EQUAL, said
    return settings


def verified(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND[0], "ledger", "verify", "--config", str(folder / "gateway.yaml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_the_command_says_equal_of_a_gateway_that_has_stopped(served: Settings, tmp_path: Path) -> None:
    done = verified(tmp_path)
    assert done.returncode == EQUAL, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "equal"
    assert "default/month:" in done.stdout


async def test_a_sum_changed_by_hand_is_told_in_words_and_in_json(served: Settings, tmp_path: Path) -> None:
    with DataDir(served.data_dir) as data_dir:
        valkey = ValkeyChild(data_dir)
        await valkey.start()
        redis = connect(valkey.url, timeout_s=30.0)
        (meter,) = [key async for key in redis.scan_iter("*:sums")]
        await redis.hincrby(meter, "settled_nano_usd", 1)
        await redis.aclose()
        await valkey.stop()
    words, parsed = verified(tmp_path), verified(tmp_path, "--json")
    assert (words.returncode, parsed.returncode) == (DIFFERENT, DIFFERENT)
    assert words.stdout.splitlines()[-1] == "DIFFERENT"
    report = json.loads(parsed.stdout)
    (row,) = report["meters"]
    assert row["in_redis"]["nano_usd"] == row["in_ledger"]["nano_usd"] + 1
    assert (report["equal"], row["verdict"]) == (False, "different")


def test_without_lines_nothing_is_claimed(tmp_path: Path) -> None:
    provider = {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "k"}
    config = {"providers": {"openai": provider}, "models": {"gpt-6.1-terra": MODEL}, "data_dir": str(tmp_path / "no")}
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(config))
    done = verified(tmp_path)
    assert done.returncode == UNUSABLE
    assert "there is no data directory" in done.stdout

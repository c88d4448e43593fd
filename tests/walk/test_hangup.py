"""SIGHUP to a real process: the configuration is read again, or one line says why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fixtures.process import COMMAND, ROOT, Served, serving


def write(folder: Path, redis_url: str, **changed: Any) -> Path:
    config = {
        "state": {"redis_url": redis_url},
        "embedder": {"engine": "none"},
        "providers": {"far": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "unused"}},
        "models": {"first": {"provider": "far", "tier": "light", "price": "free"}},
        **changed,
    }
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.fixture
def served(tmp_path: Path, redis_url: str) -> Iterator[Served]:
    with serving(tmp_path / "state", "--config", str(write(tmp_path, redis_url))) as process:
        process.wait_for(r"\] ready$")
        yield process


def models(served: Served) -> set[str]:
    rows = httpx.get(f"{served.url}/v1/models", trust_env=False, timeout=60).json()["data"]
    return {row["id"] for row in rows if row["owned_by"] == "far"}


def test_a_hangup_reads_the_configuration_again(served: Served, tmp_path: Path, redis_url: str) -> None:
    assert models(served) == {"first", "far/first"}
    write(tmp_path, redis_url, models={"second": {"provider": "far", "tier": "light", "price": "free"}})
    served.process.send_signal(signal.SIGHUP)
    served.wait_for(r"reloaded: services: 0, models: 1$")
    assert models(served) == {"second", "far/second"}
    assert served.stop() == 0


def test_a_wrong_configuration_is_one_line_and_the_old_one_serves(
    served: Served, tmp_path: Path, redis_url: str
) -> None:
    write(tmp_path, redis_url, surprise=1, server={"port": 1})
    served.process.send_signal(signal.SIGHUP)
    told = json.loads(served.wait_for(r"^\{.*reload refused.*\}$").group(0))
    assert "`surprise`: is not a setting" in told["detail"]
    assert models(served) == {"first", "far/first"}
    assert served.stop() == 0


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid, to give a process a terminal")
def test_a_closed_terminal_ends_the_gateway_and_reloads_nothing(tmp_path: Path, redis_url: str) -> None:
    ours, its = os.openpty()
    command = ["setsid", "--ctty", *COMMAND, "--config", str(write(tmp_path, redis_url)), "--port", "0"]
    heard = tmp_path / "heard"
    with heard.open("w") as out:
        data_dir = ["--data-dir", str(tmp_path / "state")]
        process = subprocess.Popen([*command, *data_dir], cwd=ROOT, stdin=its, stdout=out, stderr=out)
    os.close(its)
    url = url_in(heard, process)
    assert httpx.get(f"{url}/healthz", trust_env=False, timeout=60).status_code == 200
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert "reload" not in heard.read_text()


def url_in(heard: Path, process: subprocess.Popen[bytes]) -> str:
    """Once it answers; fails when the process ends first."""
    while process.poll() is None:
        listening = re.search(r"listening on (http://\S+)/v1", heard.read_text())
        if listening is not None:
            return listening.group(1)
    raise AssertionError(heard.read_text())


def test_a_local_model_goes_on_answering(first_day: Served) -> None:
    first_day.process.send_signal(signal.SIGHUP)
    first_day.wait_for(r"reloaded: ")
    body = {"model": "local-model", "messages": [{"role": "user", "content": "Count to three."}], "max_tokens": 5}
    answer = httpx.post(f"{first_day.url}/v1/chat/completions", json=body, trust_env=False, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-thriftgate-model"] == "local-model"

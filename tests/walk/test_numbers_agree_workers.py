"""The scripted hour against four processes: the numbers are one gateway's, also after one of them was killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import yaml

from tests import loopback
from tests.fixtures.gateway import Config
from tests.fixtures.process import Served
from tests.walk.scripted_hour import ScriptedHour, hour_config, ledger_lines, of_figures, of_ledger, of_metrics
from tests.walk.test_workers import gateway, once, workers_of

WORKERS = 4
ADMIN = {"authorization": "Bearer admin"}


async def written(folder: Path, hour: ScriptedHour) -> None:
    """Until every request, and every check of a semantic hit, has its line."""
    hits = sum(answer.headers.get("x-thriftgate-cache") == "semantic-hit" for answer in hour.answers)
    while True:
        kinds = [line["type"] for line in await asyncio.to_thread(ledger_lines, folder)]
        if kinds.count("request") == hour.requests and kinds.count("check") == hits:
            return
        await asyncio.sleep(0.1)


async def test_four_workers_say_what_their_ledgers_say(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(hour_config(four_providers)))
    with gateway(file, WORKERS) as served:
        fresh = httpx.Limits(max_keepalive_connections=0)  # each request over a connection of its own
        async with httpx.AsyncClient(
            base_url=served.url, timeout=100.0, limits=fresh, trust_env=False, verify=False
        ) as http:
            hour = ScriptedHour(http, four_upstreams)
            await hour.play()
        await written(tmp_path, hour)
        ledger = of_ledger(tmp_path)
        await all_say(served, tmp_path)
        assert len(written_by(tmp_path)) > 1, "several workers have answered"
        os.kill(workers_of(served)[0], signal.SIGKILL)
        await asyncio.to_thread(served.wait_for, "serves again")
        await all_say(served, tmp_path)
        assert of_ledger(tmp_path) == ledger


def written_by(folder: Path) -> set[Path]:
    return {path.parent for path in folder.rglob("*.ndjson")}


async def all_say(served: Served, folder: Path) -> None:
    """Asked four times the number of workers, each time over a connection of its own."""
    ledger = of_ledger(folder)
    for _ in range(4 * WORKERS):
        while not (figures := (await once(served, "GET", "/v1/thriftgate/figures", ADMIN)).json())["complete"]:
            pass  # a worker that was started again reads its ledger first
        assert of_figures(figures) == ledger
        assert of_metrics((await once(served, "GET", "/metrics", ADMIN)).text) == ledger

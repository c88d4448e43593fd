"""kill -9 at any moment: the next start ends in the books what was cut, and Redis' counters equal the lines.

Moments are counted in what clients have heard and in what the providers were asked, by a seeded generator; nothing
sleeps.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.adapters.ledger_file import ledger_files
from gateway.adapters.ledger_reader import read_lines
from gateway.offline.ledger_proof import EQUAL, prove
from gateway.settings import Settings, load
from tests import loopback
from tests.fixtures.process import Served, serving

CLIENTS = 12
MODELS = ("claude-opus-5-5", "gpt-6.1-terra")
SERVICES = ("shop", "search", "free")
ROW = {"tier": "light", "sampling": False, "source": "tests/loopback", "checked": "2026-11-23"}


def configuration(folder: Path, upstreams: dict[str, loopback.Upstream]) -> Path:
    """Two services that share a group's budget, one with a window of its own and something put aside, and one without
    any."""
    away: dict[str, Any] = {"when_unavailable": "local"}
    own = {"tokens": 10_000_000, "window": "day", **away}
    shared = {"usd": 1_000, "window": "month", "time_zone": "Europe/Berlin", **away}
    document = {
        "data_dir": str(folder / "state"),
        "embedder": {"engine": "none"},
        "state": {"timeout_ms": 5_000, "allotment_share": 0.001},  # a kill charges what is put aside in full
        "ledger": {"max_file_bytes": 65_536},
        "providers": {
            kind: {"kind": kind, "base_url": upstream.base_url, "api_key": upstream.api_key}
            for kind, upstream in upstreams.items()
        },
        "models": {
            "claude-opus-5-5": {"provider": "anthropic", "price": {"input": 5, "output": 25}, **ROW},
            "gpt-6.1-terra": {
                "provider": "openai",
                "price": {"input": 1, "output": 2},
                "limit_field": "max_completion_tokens",
                **ROW,
            },
        },
        "groups": [{"name": "acme", "budgets": [shared]}],
        "services": [
            {"name": "shop", "key": "key-shop", "group": "acme", "budgets": [own]},
            {"name": "search", "key": "key-search", "group": "acme"},
            {"name": "free", "key": "key-free"},
        ],
    }
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@dataclass
class Doom:
    """Kills the gateway at the `left`-th thing that happens."""

    served: Served
    left: int
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.served.kill()
            self.done.set()


async def ask_until_the_end(url: str, doom: Doom, chance: random.Random) -> None:
    """One client: whole answers, streams, and streams left in the middle, until the gateway is gone."""
    async with httpx.AsyncClient(base_url=url, timeout=60.0, trust_env=False, verify=False) as http:
        while not doom.done.is_set():
            try:
                await ask(http, doom, chance)
            except (
                Exception
            ):  # what a client feels of a dead server: httpx's errors, and bugs of the libraries below it
                if not doom.done.is_set():
                    raise


async def ask(http: httpx.AsyncClient, doom: Doom, chance: random.Random) -> None:
    kind = chance.choice(["whole", "whole", "stream", "stream", "left", "again"])
    text = "the same" if kind == "again" else f"{chance.random()} " + "word " * chance.randint(1, 60)
    body: dict[str, Any] = {"model": chance.choice(MODELS), "messages": [{"role": "user", "content": text}]}
    headers = {"authorization": f"Bearer key-{chance.choice(SERVICES)}"}
    if kind in ("whole", "again"):
        answer = await http.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        doom.tick()
        return
    heard = 0
    async with http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}, headers=headers) as answer:
        async for _ in answer.aiter_lines():
            heard += 1
            doom.tick()
            if kind == "left" and heard == 5:
                return


async def killed_by_the_provider(upstream: loopback.Upstream, doom: Doom, requests: int) -> None:
    """Kill when the provider has been asked so often from now on: held, and nothing answered."""
    await upstream.arrival(len(upstream.requests) + requests)
    doom.left = 1
    doom.tick()


async def live_and_die(served: Served, upstreams: dict[str, loopback.Upstream], chance: random.Random) -> None:
    """Serve twelve clients until the moment of this round."""
    by_provider = chance.random() < 0.4
    doom = Doom(served, 10**9 if by_provider else chance.randint(1, 400))
    seeds = [chance.random() for _ in range(CLIENTS)]
    clients = [asyncio.ensure_future(ask_until_the_end(served.url, doom, random.Random(seed))) for seed in seeds]
    if by_provider:
        upstream = upstreams[chance.choice(["openai", "anthropic"])]
        clients.append(asyncio.ensure_future(killed_by_the_provider(upstream, doom, chance.randint(1, 60))))
    await asyncio.gather(*clients)


@contextmanager
def recovered(config: Path) -> Iterator[Served]:
    """A gateway that takes requests: it has read the books."""
    with serving(config.parent / "state", "--config", str(config)) as served:
        assert httpx.get(f"{served.url}/healthz", timeout=60.0, trust_env=False).status_code == 200
        yield served


def lines_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    records = (record for path in ledger_files(folder) for _, record in read_lines(path, lambda damage: None))
    return [record for record in records if record["type"] == kind]


async def assert_equal(settings: Settings, when: str) -> None:
    status, text = await prove(settings, [], as_json=False)
    assert status == EQUAL, f"{when}:\n{text}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.nightly)])
async def test_wherever_a_gateway_is_killed_its_counters_equal_the_ledger(
    tmp_path: Path, openai_upstream: loopback.Upstream, anthropic_upstream: loopback.Upstream, kills: int
) -> None:
    upstreams = {"openai": openai_upstream, "anthropic": anthropic_upstream}
    config = configuration(tmp_path, upstreams)
    settings, chance = load(config, {}).settings, random.Random(kills)
    for number in range(kills):
        with recovered(config) as served:
            if number:
                await assert_equal(settings, f"after kill {number}")
            await live_and_die(served, upstreams, chance)
    with recovered(config) as served:
        assert served.stop() == 0
    await assert_equal(settings, "after the last kill and a good end")
    assert lines_of(settings.ledger_folder, "recovered"), "no kill met a request in the air"
    assert {line["service"] for line in lines_of(settings.ledger_folder, "settle")} == set(SERVICES)

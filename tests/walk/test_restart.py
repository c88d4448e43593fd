"""kill -9 of the gateway: no orphan is left at the next start, and what was spent is still counted."""

from __future__ import annotations

from pathlib import Path

import httpx
import yaml

from tests import loopback
from tests.fixtures.process import ROOT, serving
from tests.walk.test_first_day import children_of

BUDGET_TOKENS = 1_000
HEADERS = {"authorization": "Bearer k"}


def configuration(folder: Path, upstream: loopback.Upstream) -> Path:
    """As shipped, with one provider that answers and a service that pays for it."""
    shipped = yaml.safe_load((ROOT / "config/gateway.yaml").read_text())
    models = yaml.safe_load((ROOT / "config/models.yaml").read_text())
    shipped["providers"]["openai"] |= {"base_url": upstream.base_url, "api_key": upstream.api_key}
    service = {"name": "shop", "key": "k", "budget": {"tokens": BUDGET_TOKENS, "window": "month"}}
    shipped.pop("include")
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump({**shipped, **models, "services": [service]}))
    return file


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def ask(url: str, text: str, max_tokens: int) -> httpx.Response:
    body = {"model": "gpt-6.1-terra", "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens}
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=120.0, trust_env=False, verify=False) as http:
        return await http.post("/v1/chat/completions", json=body)


async def test_a_killed_gateway_leaves_no_orphans_and_its_counters_survive(
    tmp_path: Path, openai_upstream: loopback.Upstream
) -> None:
    config, data_dir = str(configuration(tmp_path, openai_upstream)), tmp_path / "state"
    with serving(data_dir, "--config", config) as served:
        served.wait_for(r"\] ready$")
        spent = await ask(served.url, "Count from one to fifty.", 100)
        assert spent.status_code == 200, spent.text
        orphans = children_of(served.process.pid)
        served.kill()
    used = spent.json()["usage"]["total_tokens"]
    with serving(data_dir, "--config", config) as served:
        served.wait_for(r"\] ready$")
        assert len(orphans) == 2, "a Valkey and a llama.cpp"
        assert not alive(orphans)
        left = BUDGET_TOKENS - used
        refused = await ask(served.url, "x", left)
        assert refused.status_code == 429, "the tokens spent before the kill were forgotten"
        assert refused.json()["error"]["code"] == "insufficient_quota"
        # What is left is still usable: the bound of so short a prompt is well below 300 tokens.
        assert (await ask(served.url, "x", left - 300)).status_code == 200

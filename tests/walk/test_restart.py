"""kill -9 of the gateway: no orphan is left at the next start, and what was spent is still counted."""

from __future__ import annotations

from pathlib import Path

import httpx
import yaml

from tests.fixtures.process import ROOT, serving
from tests.walk.test_first_day import children_of

BUDGET_TOKENS = 1_000
HEADERS = {"authorization": "Bearer k"}


def configuration(folder: Path) -> Path:
    shipped = yaml.safe_load((ROOT / "config/gateway.yaml").read_text())
    models = yaml.safe_load((ROOT / "config/models.yaml").read_text())
    service = {"name": "shop", "key": "k", "budget": {"tokens": BUDGET_TOKENS, "window": "month"}}
    shipped.pop("include")
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump({**shipped, **models, "services": [service]}))
    return file


def ask(url: str, text: str, max_tokens: int) -> httpx.Response:
    body = {"model": "local-model", "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=HEADERS, timeout=120.0, trust_env=False)


def test_a_killed_gateway_leaves_no_orphans_and_its_counters_survive(tmp_path: Path) -> None:
    config, data_dir = str(configuration(tmp_path)), tmp_path / "state"
    with serving(data_dir, "--config", config) as served:
        served.wait_for(r"\] ready$")
        spent = ask(served.url, "Count from one to fifty.", 100)
        assert spent.status_code == 200
        orphans = children_of(served.process.pid)
        served.kill()
    used = spent.json()["usage"]["total_tokens"]
    with serving(data_dir, "--config", config) as served:
        served.wait_for(r"\] ready$")
        assert not [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
        left = BUDGET_TOKENS - used
        refused = ask(served.url, "x", left)
        assert refused.status_code == 429, "the tokens spent before the kill were forgotten"
        assert refused.json()["error"]["code"] == "insufficient_quota"
        # What is left is still usable: the bound of so short a prompt is well below 300 tokens.
        assert ask(served.url, "x", left - 300).status_code == 200

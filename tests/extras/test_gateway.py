"""A whole gateway on both extras: sentence-transformers embeds, llama-cpp-python answers with SmolLM2."""

from __future__ import annotations

from pathlib import Path

import yaml

from gateway.core.events import Stored
from tests.fixtures.gateway import Events, Running, running
from tests.fixtures.process import ROOT

QUESTION = "Name the capital city of France."
PARAPHRASE = "Name the capital city of France, please."


async def ready(gateway: Running) -> None:
    """Until everything has loaded: each round is a real request, not a sleep."""
    while (await gateway.http.get("/readyz")).status_code != 200:
        pass


async def stored(events: Events, layer: str) -> None:
    while (await events.next(Stored)).layer != layer:
        pass


async def test_both_extras_serve_the_whole_walk(tmp_path: Path, model_folder: Path) -> None:
    models = yaml.safe_load((ROOT / "config/models.yaml").read_text())["models"]
    config = {
        "embedder": {"engine": "sentence-transformers", "model": str(model_folder)},
        "providers": {"local": {"kind": "llamacpp", "model": "smollm2-135m", "launcher": "llama-cpp-python"}},
        "models": {"local-model": models["local-model"]},
        "cache": {"semantic": {"deadline_ms": 60_000}},
        "timeouts": {"first_token_s": 300},
    }
    async with running(tmp_path, config) as gateway:
        await ready(gateway)
        first = await gateway.ask(QUESTION, max_tokens=40, temperature=0)
        await stored(gateway.events, "semantic")
        again = await gateway.ask(QUESTION, max_tokens=40, temperature=0)
        by_meaning = await gateway.ask(PARAPHRASE, max_tokens=40, temperature=0)
        streamed = await gateway.ask("Name three colours.", max_tokens=20, stream=True)
    assert first.json()["choices"][0]["message"]["content"]
    assert [answer.headers["x-thriftgate-cache"] for answer in (first, again, by_meaning)] == [
        "miss",
        "hit",
        "semantic-hit",
    ]
    assert streamed.text.endswith("data: [DONE]\n\n")

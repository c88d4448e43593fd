"""Answer, feedback, ledger, training, and the new weights explained: nothing changes until the operator says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway import cli
from gateway.adapters.router_weights import load
from gateway.core.events import PromptKept, Rated
from gateway.offline.ledger_lessons import ratings_of, told_in
from gateway.offline.train_from_ledger import FEWEST
from tests.fixtures.gateway import Config, Running, running

PATH = "/v1/thriftgate/feedback"
EASY = "Translate 'shop number {}' into French."
HARD = "Which of the {} clauses in the text contradicts the {}th statute? True or false, and for which tenant?"


def keeping(config: Config, **more: Any) -> Config:
    return {**config, "learning": {"store_features": True}, **more}


async def rate(gateway: Running, request_id: str, score: object, key: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return await gateway.http.post(PATH, json={"request_id": request_id, "score": score}, headers=headers)


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    files = sorted((folder / "state/ledger").glob("*.ndjson"))
    records = [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]
    return [record for record in records if record["type"] == kind]


async def test_an_answers_worth_is_written_down_without_its_text(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, keeping(four_providers)) as gateway:
        answer = await gateway.ask("Translate 'wombat' into French.")
        said = await rate(gateway, answer.headers["x-request-id"], "up")
        assert said.status_code == 200, said.text
        metrics = (await gateway.http.get("/metrics")).text
        kept, rated = await gateway.events.next(PromptKept), await gateway.events.next(Rated)
    assert said.json()["verdict"] == "up"
    assert 'thriftgate_feedback_total{service="default",verdict="up"} 1.0' in metrics
    assert kept.request_id == rated.request_id == answer.headers["x-request-id"]
    assert [line["score"] for line in lines(tmp_path, "feedback")] == [1.0]
    assert [line["model"] for line in lines(tmp_path, "prompt")] == [answer.headers["x-thriftgate-model"]]
    assert b"wombat" not in b"".join(file.read_bytes() for file in (tmp_path / "state/ledger").iterdir())


async def test_prompts_are_not_kept_unless_somebody_says_so(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await gateway.ask("Translate 'wombat' into French.")
        await rate(gateway, answer.headers["x-request-id"], 0.3)
    assert lines(tmp_path, "prompt") == []
    assert [line["verdict"] for line in lines(tmp_path, "feedback")] == ["down"]


async def test_feedback_needs_a_services_key_and_counts_for_its_own_requests_only(
    tmp_path: Path, four_providers: Config
) -> None:
    services = [{"name": "shop", "key": "key-shop"}, {"name": "rival", "key": "key-rival"}]
    async with running(tmp_path, keeping(four_providers, services=services)) as gateway:
        answer = await gateway.ask("Translate 'wombat' into French.", headers={"authorization": "Bearer key-shop"})
        id = answer.headers["x-request-id"]
        refused = await rate(gateway, id, "down")
        assert refused.status_code == 401
        await rate(gateway, id, "up", "key-shop")
        await rate(gateway, id, "down", "key-rival")
    (rating,) = ratings_of(told_in(tmp_path / "state/ledger"))
    assert (rating.service, rating.light) == ("shop", 1.0)


async def test_a_wrong_body_is_a_400_that_names_the_field(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        answer = await rate(gateway, "req_1", 7)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "score"


async def test_from_answers_to_new_weights_that_only_explain_shows(
    tmp_path: Path, four_providers: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {**keeping(four_providers), "routing": {"max_tier": "light"}}
    async with running(tmp_path, config) as gateway:
        for at in range(FEWEST):
            prompt, score = (HARD.format(at, at), "down") if at % 2 else (EASY.format(at), "up")
            answer = await gateway.ask(prompt)
            await rate(gateway, answer.headers["x-request-id"], score)
    options = ("--config", str(tmp_path / "gateway.yaml"))
    new = await trained(tmp_path / "new.npz", *options)
    assert load(new).digest in capsys.readouterr().out
    easy, hard = [await foreseen(prompt, new, options, capsys) for prompt in (EASY.format(7), HARD.format(7, 8))]
    assert easy["expected_gain"] < hard["expected_gain"]
    assert easy["light_will_do"] > hard["light_will_do"]


async def trained(out: Path, *options: str) -> Path:
    """In a thread, as all commands here: they have a loop of their own."""
    assert await asyncio.to_thread(cli.main, ["train-router", "--from-ledger", "--out", str(out), *options]) == 0
    return out


async def foreseen(
    prompt: str, weights: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> dict[str, float]:
    command = ["explain", prompt, "--weights", str(weights), "--json", *options]
    assert await asyncio.to_thread(cli.main, command) == 0
    forecast: dict[str, float] = orjson.loads(capsys.readouterr().out)["forecast"]
    return forecast


def test_too_little_feedback_is_said_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(
        f"data_dir: {tmp_path}/state\nproviders: {{local: {{kind: llamacpp, base_url: 'http://127.0.0.1:9/v1'}}}}\n"
        "models: {small: {provider: local, tier: light, price: free}}\n"
    )
    out = tmp_path / "new.npz"
    assert cli.main(["train-router", "--from-ledger", "--out", str(out), "--config", str(config)]) == 1
    assert "0 light answers with both" in capsys.readouterr().err
    assert not out.exists()

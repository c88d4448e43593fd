"""An hour of traffic, played in seconds: every tier, cache layer and endpoint, streams, errors, and clients that leave.

    hour = ScriptedHour(http, upstreams)       # a client of any gateway that was configured by `hour_config`
    await hour.play()
    hour.answers                               # one for each request that a service was known for, in order

What each source of numbers then says is read by `of_metrics`, `of_ledger` and `of_figures`, as the same `Numbers`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson

from gateway.adapters.ledger_file import SUFFIX
from tests import loopback
from tests.fixtures.gateway import Config, chat
from tests.loopback import Upstream

GPU = {"gpu_hour_usd": 2.0, "prompt_tokens_per_s": 2_000, "output_tokens_per_s": 50}
EMBEDDING = "text-embedding-3-small"
MODELS = ("local", "deepseek-flash", "gpt-6.1-terra", "claude-opus-5-5")
QUESTION = "Name the capital city of France."
PARAPHRASE = "Name the capital city of France, please."
COUNTED = loopback.Answer("One. Two. Three.")
"""Not what was asked for in one sentence: it does not pass review."""


def hour_config(config: Config) -> Config:
    """Three services: with the dearest model as baseline, with a cheap one (so that some answers are dearer), and with
    light answers reviewed; and one that may hardly spend anything."""
    models = {name: dict(row) for name, row in config["models"].items()}
    models["local"]["price"] = GPU
    models["deepseek-flash"]["price"] = {"input": 0.15, "output": 0.6, "cache_read": 0.003}
    models[EMBEDDING] = {"provider": "openai", "mode": "embedding"}
    return {
        **config,
        "models": models,
        "embedder": {"engine": "onnx"},
        "cache": {"semantic": {"deadline_ms": 60_000, "shadow_share": 1, "judge_model": "claude-opus-5-5"}},
        "server": {"admin_key": "admin", "public_metrics": True},
        "services": [
            {"name": "shop", "key": "k-shop", "budget": {"usd": 1_000, "tokens": 100_000_000}},
            {"name": "thrifty", "key": "k-thrifty", "baseline_model": "deepseek-flash"},
            {"name": "careful", "key": "k-careful", "review": "whole"},
            {"name": "poor", "key": "k-poor", "budget": {"tokens": 1}},
        ],
    }


@dataclass
class ScriptedHour:
    """One client. `answers` are those of requests that a service was known for: each is told once."""

    http: httpx.AsyncClient
    upstreams: Mapping[str, Upstream]
    answers: list[httpx.Response] = field(default_factory=list)
    left: int = 0

    async def play(self) -> None:
        await self._every_model_whole_and_streamed_and_again()
        await self._equal_questions_at_once()
        await self._other_endpoints()
        await self._answers_thrown_away()
        await self._what_fails_upstream()
        await self._what_is_refused()
        await self._clients_that_leave()
        await self._a_paraphrase()  # last: what checks it behind would take answers that others were scripted for

    @property
    def requests(self) -> int:
        """How many should have been told."""
        return len(self.answers) + self.left

    async def ask(
        self, text: str, model: str = "auto", service: str = "shop", path: str = "chat/completions", **body: Any
    ) -> httpx.Response:
        asked = chat(text, model, **body) if path == "chat/completions" else {"model": model, **body}
        headers = {"authorization": f"Bearer k-{service}", "anthropic-version": "2023-06-01"}
        answer = await self.http.post(f"/v1/{path}", json=asked, headers=headers)
        self.answers.append(answer)
        return answer

    async def _every_model_whole_and_streamed_and_again(self) -> None:
        for service in ("shop", "thrifty"):
            for model in ("auto", "auto:light", "auto:medium", "auto:heavy", *MODELS):
                for stream in (False, True, False):
                    await self.ask(f"Tell {model} of numbers {stream}.", model, service, stream=stream)

    async def _equal_questions_at_once(self) -> None:
        asking = [self.ask("What do we all want to know?", "auto:medium", stream=bool(at % 2)) for at in range(6)]
        await asyncio.gather(*asking)

    async def _a_paraphrase(self) -> None:
        """The answer is stored behind: each round is a request that is counted as all are."""
        await self.ask(QUESTION, "gpt-6.1-terra")
        while True:
            answer = await self.ask(PARAPHRASE, "gpt-6.1-terra", thriftgate={"cache": "read-only"})
            if answer.headers["x-thriftgate-cache"] == "semantic-hit":
                return

    async def _other_endpoints(self) -> None:
        said = [{"role": "user", "content": "Hello."}]
        await self.ask("", "claude-opus-5-5", path="messages", messages=said, max_tokens=50)
        await self.ask("", "gpt-6.1-terra", path="responses", input="Hello there.")
        await self.ask("", "deepseek-flash", path="completions", prompt="Once upon a time")
        await self.ask("", EMBEDDING, path="embeddings", input="to be found again")

    async def _answers_thrown_away(self) -> None:
        self.upstreams["deepseek"].script(COUNTED)
        await self.ask("What is the capital of France? Answer in one sentence.", "auto", "careful")

    async def _what_fails_upstream(self) -> None:
        openai = self.upstreams["openai"]
        openai.script(loopback.Cut(0), loopback.Answer("At last."))
        await self.ask("Will it be cut at once?", "gpt-6.1-terra", stream=True)
        openai.script(loopback.Cut(3))
        await self.ask("Will it be cut later?", "gpt-6.1-terra", stream=True)
        openai.script(loopback.Refuse(500), loopback.Refuse(500))
        await self.ask("Will it be refused?", "gpt-6.1-terra")

    async def _what_is_refused(self) -> None:
        await self.ask("Who pays?", "gpt-6.1-terra", "poor")
        await self.ask("Which one?", "gpt-77")

    async def _clients_that_leave(self) -> None:
        for at in range(3):
            body = chat(f"Tell a very long story, number {at}.", "gpt-6.1-terra", stream=True)
            self.upstreams["openai"].script(loopback.Stall(3))
            headers = {"authorization": "Bearer k-shop"}
            async with self.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
                await anext(answer.aiter_lines())
            self.left += 1


@dataclass(frozen=True)
class Numbers:
    """In nano-dollars; `by_cause` and `by_kind` divide the savings and what was paid beside the answers."""

    requests: int
    cost: int
    baseline: int
    by_cause: dict[str, int]
    by_kind: dict[str, int]

    @property
    def checks(self) -> int:
        """What is in no request's cost."""
        return self.by_kind.get("shadow", 0) + self.by_kind.get("judge", 0)

    @property
    def beside(self) -> int:
        return sum(self.by_kind.values()) - self.checks


def of_metrics(text: str) -> Numbers:
    """Of the exposition: its figures as they are written, in no floats."""
    rows = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("thriftgate_")]

    def divided(name: str, label: str) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for series, value in rows:
            if series.startswith(f"{name}{{"):
                sums[series.partition(f'{label}="')[2].partition('"')[0]] += nano(value)
        return {key: amount for key, amount in sums.items() if amount}

    def total(name: str) -> int:
        return sum(nano(value) for series, value in rows if series.startswith(f"{name}{{"))

    return Numbers(
        total("thriftgate_requests_total") // 10**9,
        total("thriftgate_cost_usd_total"),
        total("thriftgate_baseline_usd_total"),
        divided("thriftgate_saved_usd_total", "cause"),
        divided("thriftgate_overhead_usd_total", "kind"),
    )


def of_ledger(folder: Path) -> Numbers:
    """Of the lines in all its files."""
    lines = ledger_lines(folder)
    requests = [line for line in lines if line["type"] == "request"]
    kinds: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for line in requests:
        causes.update({saved["cause"]: saved["nano_usd"] for saved in line["savings"]})
        kinds.update({overhead["kind"]: overhead["nano_usd"] for overhead in line["overheads"]})
    for line in lines:
        if line["type"] == "check":
            kinds["judge"] += line["judge_nano_usd"]
            kinds["shadow"] += line["cost_nano_usd"] - line["judge_nano_usd"]
    return Numbers(
        len(requests),
        sum(line["cost_nano_usd"] for line in requests),
        sum(line["baseline_nano_usd"] for line in requests),
        positive(causes),
        positive(kinds),
    )


def ledger_lines(folder: Path) -> list[dict[str, Any]]:
    """Only whole ones: the last may still be in the making."""
    files = sorted(folder.rglob(f"*{SUFFIX}"))
    whole = (line for file in files for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))
    return [orjson.loads(line) for line in whole]


def of_figures(figures: Mapping[str, Any]) -> Numbers:
    """Of `/v1/thriftgate/figures`."""
    total = figures["range"]
    return Numbers(
        total["requests"],
        nano(total["cost_usd"]),
        nano(total["baseline_usd"]),
        positive({row["name"]: nano(row["usd"]) for row in figures["saved_by_cause"]}),
        positive({row["name"]: nano(row["usd"]) for row in figures["overhead_by_kind"]}),
    )


def of_headers(answers: Iterable[httpx.Response], else_from: Callable[[str], int]) -> int:
    """What the clients were told to have cost; what a stream did not say in its head is asked for by its id."""
    return sum(
        nano(cost)
        if (cost := answer.headers.get("x-thriftgate-cost-usd"))
        else else_from(answer.headers["x-request-id"])
        for answer in answers
    )


def nano(usd: str) -> int:
    """Of decimal text. Whatever is below a nano-dollar there is a double's last digit."""
    return round(Decimal(usd) * 10**9)


def positive(amounts: Mapping[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in amounts.items() if amount}

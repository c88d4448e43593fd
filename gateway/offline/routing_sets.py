"""Public data sets of answers by a light and a strong model, as outcomes to learn from. Read, never shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prompt of a set, and what the light and the strong model's answers were worth, 0 to 1."""

    prompt: str
    set: str
    light: float
    strong: float


def shipped_outcomes(folder: Path) -> list[Outcome]:
    """What the shipped weights are learned from: Mixtral 8x7B against GPT-4 of November 2023, on MMLU and GSM8K
    (lm-sys/RouteLLM 0b64fda, Apache-2.0) and AlpacaEval 2 (tatsu-lab/alpaca_eval cd543a1; its answers and preferences
    are CC-BY-NC-4.0). Empty without the files."""
    return [*_routellm(folder), *_alpaca(folder)]


def open_outcomes(folder: Path, light: str = "mistral-7b-instruct-v0.3") -> list[Outcome]:
    """LLMRouter's fourteen tasks (ulab-uiuc/LLMRouter 4e7a796, MIT): `light` against Llama 3.1 Nemotron 51B."""
    return [
        Outcome(
            row["prompt"], row["sub"], row["scores"][light] / row["scale"], row["scores"][_OPEN_STRONG] / row["scale"]
        )
        for row in _rows(folder / "llmrouter11.dev.jsonl")
    ]


_OPEN_STRONG = "llama-3.1-nemotron-51b-instruct"


def _routellm(folder: Path) -> Iterator[Outcome]:
    for row in _rows(folder / "routellm.dev.jsonl"):
        light, strong = (row["scores"][name] / row["scale"] for name in ("mixtral-8x7b", "gpt-4-1106"))
        yield Outcome(row["prompt"], row["source"], light, strong)


def _alpaca(folder: Path) -> Iterator[Outcome]:
    """Preferences over GPT-4's own answer, which therefore is worth a half."""
    for row in _rows(folder / "alpaca_eval.dev.jsonl"):
        yield Outcome(row["prompt"], "alpaca", row["scores"]["Mixtral-8x7B-Instruct-v0.1"] / row["scale"], 0.5)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

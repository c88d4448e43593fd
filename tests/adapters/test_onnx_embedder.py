from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
from pathlib import Path

import pytest

from gateway.adapters.onnx_embedder import OnnxEmbedder

LONG = "How do I turn on automatic backups of my database? " * 40


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_vectors_have_the_promised_size_and_unit_length(minilm: OnnxEmbedder) -> None:
    vectors = await minilm.embed(["hello", LONG, ""])
    assert [len(vector) for vector in vectors] == [minilm.dimensions] * 3
    for vector in vectors:
        assert math.isclose(cosine(vector, vector), 1.0, abs_tol=1e-5)


async def test_a_paraphrase_is_nearer_than_another_question(minilm: OnnxEmbedder) -> None:
    asked, same, other = await minilm.embed(
        ["How do I cancel my subscription?", "What are the steps to cancel my subscription?", "Who wrote Faust?"]
    )
    assert cosine(asked, same) > 0.95
    assert cosine(asked, other) < 0.3


async def test_a_text_gets_the_same_vector_alone_and_in_a_batch_of_other_lengths(minilm: OnnxEmbedder) -> None:
    texts = ["short", LONG, "a text of middling length about backups", "x", LONG[:300]]
    together = await minilm.embed(texts)
    for text, in_batch in zip(texts, together, strict=True):
        [alone] = await minilm.embed([text])
        assert cosine(alone, in_batch) > 0.99999


async def test_concurrent_calls_each_get_their_own_vectors(minilm: OnnxEmbedder) -> None:
    texts = [f"question number {at} about {'cats' if at % 2 else 'tax law'}" for at in range(40)]
    answers = await asyncio.gather(*(minilm.embed([text]) for text in texts))
    [expected] = await minilm.embed([texts[17]])
    assert cosine(answers[17][0], expected) > 0.99999
    assert len({tuple(vector) for [vector] in answers}) == 40


async def test_the_loop_runs_on_while_the_model_works(minilm: OnnxEmbedder) -> None:
    turns = 0
    embedding = asyncio.ensure_future(minilm.embed([LONG] * 4))
    while not embedding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


async def test_a_caller_who_gives_up_does_not_harm_those_who_wait_with_him(minilm: OnnxEmbedder) -> None:
    given_up = asyncio.ensure_future(minilm.embed(["never mind", LONG]))
    waiting = asyncio.ensure_future(minilm.embed(["still here"]))
    await asyncio.sleep(0)
    given_up.cancel()
    assert len((await waiting)[0]) == minilm.dimensions
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_nothing_to_embed_is_nothing(minilm: OnnxEmbedder) -> None:
    assert await minilm.embed([]) == []


async def test_tokens_are_counted_without_a_cut(minilm: OnnxEmbedder) -> None:
    assert minilm.count_tokens("hello world") == 4  # with [CLS] and [SEP]
    assert minilm.count_tokens(LONG) > minilm.max_tokens


async def test_a_huge_text_is_beyond_the_window_without_being_read(minilm: OnnxEmbedder) -> None:
    assert minilm.count_tokens(" " * 1_000_000) > minilm.max_tokens
    assert minilm.count_tokens("a " * 1_000_000) > minilm.max_tokens


async def test_what_lies_beyond_the_window_does_not_change_the_vector(minilm: OnnxEmbedder) -> None:
    [one], [two] = await minilm.embed([LONG + "cats"]), await minilm.embed([LONG + "dogs"])
    assert cosine(one, two) > 0.99999


async def test_before_start_it_says_that_no_model_is_loaded() -> None:
    embedder = OnnxEmbedder()
    with pytest.raises(RuntimeError, match="no model is loaded"):
        await embedder.embed(["hello"])
    await embedder.stop()


async def test_a_folder_without_a_model_fails_at_start_and_not_later(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(tmp_path)
    with pytest.raises(Exception, match=r"model\.onnx"):
        await embedder.start()
    await embedder.stop()


async def test_stopping_cancels_what_is_queued() -> None:
    embedder = OnnxEmbedder()
    await embedder.start()
    running = [asyncio.ensure_future(embedder.embed([LONG])) for _ in range(40)]
    await asyncio.sleep(0)
    await embedder.stop()
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert any(isinstance(end, asyncio.CancelledError) for end in ended)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
async def test_of_its_threads_only_the_models_second_gives_way(minilm: OnnxEmbedder) -> None:
    """A first embedder has been made, so that the threads onnxruntime's import makes are there already."""
    before = set(os.listdir("/proc/self/task"))
    embedder = OnnxEmbedder()
    await embedder.start()
    await embedder.embed([LONG])  # by now the thread that made the model has gone
    its_own = [int(name) for name in set(os.listdir("/proc/self/task")) - before]
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    gives_way = sorted(os.getpriority(os.PRIO_PROCESS, thread) - ours for thread in its_own)
    await embedder.stop()
    assert gives_way == [0, 10][: len(os.sched_getaffinity(0))]

"""The semantic layer in a whole gateway: worth its wait, within its deadline, on the real MiniLM."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.core.events import NotByMeaning, RequestFinished, Stored
from gateway.flow.meaning import LONGEST_TOKENS
from tests import loopback
from tests.fixtures.gateway import Config, Running, running

QUESTION = "Name the capital city of France."
PARAPHRASE = "Name the capital city of France, please."
MODEL = "gpt-6.1-terra"


def with_meaning(config: Config, **semantic: object) -> Config:
    """MiniLM loaded, a deadline that a busy machine keeps, and look-ups that always pay, because they cost nothing."""
    free = {"value_of_second_usd": 0, "cpu_second_usd": 0}
    settings = {"deadline_ms": 60_000, "shadow_share": 0, **free, **semantic}
    return {**config, "embedder": {"engine": "onnx"}, "cache": {"semantic": settings}}


async def ready(gateway: Running) -> None:
    """Each round is a real request, not a sleep."""
    while (await gateway.http.get("/readyz")).status_code != 200:
        pass


async def stored_by_meaning(gateway: Running) -> None:
    while (await gateway.events.next(Stored)).layer != "semantic":
        pass


def why(answer: object) -> str:
    return answer.headers.get("x-thriftgate-cache-reason", "")  # type: ignore[attr-defined,no-any-return]  # httpx's


async def test_a_paraphrase_hits_and_there_is_nothing_to_explain(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_meaning(four_providers)) as gateway:
        await ready(gateway)
        await gateway.ask(QUESTION, MODEL)
        await stored_by_meaning(gateway)
        answer = await gateway.ask(PARAPHRASE, MODEL)
    assert answer.headers["x-thriftgate-cache"] == "semantic-hit"
    assert why(answer) == ""


async def test_a_near_question_that_the_verifier_refuses_says_so(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_meaning(four_providers)) as gateway:
        await ready(gateway)
        await gateway.ask("Is it safe to take 2 tablets of ibuprofen a day?", MODEL)
        await stored_by_meaning(gateway)
        answer = await gateway.ask("Is it safe to take 3 tablets of ibuprofen a day?", MODEL)
    assert answer.headers["x-thriftgate-cache"] == "miss"
    assert why(answer).startswith("near question refused: ")


async def test_a_question_that_does_not_pay_is_neither_looked_up_nor_stored_and_says_both_figures(
    tmp_path: Path, four_providers: Config
) -> None:
    config = with_meaning(four_providers, cpu_second_usd=0.00001)
    async with running(tmp_path, config) as gateway:
        await ready(gateway)
        skipped = await gateway.ask(QUESTION, "llamacpp/tiny")
        event = await gateway.events.next(RequestFinished)
        metrics = (await gateway.http.get("/metrics")).text
    assert skipped.headers["x-thriftgate-cache"] == "miss"
    assert why(skipped) == "semantic skipped: worth $0.0000000 < cost $0.0000001"
    assert event.reasons == ("pinned", why(skipped))
    assert NotByMeaning("unpaid", event.service) in gateway.events.told
    assert Stored("semantic", event.service) not in gateway.events.told
    assert f'thriftgate_semantic_passed_total{{service="{event.service}",why="unpaid"}} 1' in metrics


async def test_a_new_services_questions_are_looked_up_and_stored_although_no_hit_was_seen_yet(
    tmp_path: Path, four_providers: Config
) -> None:
    config = with_meaning(four_providers, value_of_second_usd=0.0001, cpu_second_usd=0.00001)
    async with running(tmp_path, config) as gateway:
        await ready(gateway)
        await gateway.ask(QUESTION, "llamacpp/tiny")
        await stored_by_meaning(gateway)
        explored = await gateway.ask(PARAPHRASE, "llamacpp/tiny")
    assert explored.headers["x-thriftgate-cache"] == "semantic-hit"
    assert why(explored).startswith("semantic explored although worth $0.0000000 < cost $")


async def test_a_look_up_that_is_too_late_is_a_miss_and_found_later_and_the_next_is_not_waited_for(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, with_meaning(four_providers, deadline_ms=0.001)) as gateway:
        await ready(gateway)
        late = await gateway.ask(QUESTION, MODEL)
        await stored_by_meaning(gateway)
        hopeless = await gateway.ask("Why is the sky blue?", MODEL)
    async with running(tmp_path, with_meaning(four_providers)) as gateway:
        await ready(gateway)
        later = await gateway.ask(PARAPHRASE, MODEL)
    assert late.headers["x-thriftgate-cache"] == "miss"
    assert why(late) == "semantic gave up after 0.001 ms"
    assert re.fullmatch(r"semantic skipped: about \d+ ms are more than 0.001 ms", why(hopeless))
    assert later.headers["x-thriftgate-cache"] == "semantic-hit"


@pytest.mark.parametrize("words", [LONGEST_TOKENS - 1, 20_000])
async def test_a_long_question_is_never_compared_by_meaning(tmp_path: Path, four_providers: Config, words: int) -> None:
    """The embedder adds two tokens of its own."""
    async with running(tmp_path, with_meaning(four_providers)) as gateway:
        await ready(gateway)
        answer = await gateway.ask("word " * words, MODEL)
    assert why(answer) == f"semantic skipped: the question is longer than {LONGEST_TOKENS} tokens"


@pytest.mark.parametrize("mode", ["refresh", "off"])
async def test_a_caller_that_wants_no_cached_answer_waits_for_no_look_up(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream, mode: str
) -> None:
    async with running(tmp_path, with_meaning(four_providers)) as gateway:
        await ready(gateway)
        await gateway.ask(QUESTION, MODEL)
        await stored_by_meaning(gateway)
        answer = await gateway.ask(PARAPHRASE, MODEL, {"x-thriftgate-cache": mode})
    assert why(answer) == ""
    assert len(openai_upstream.requests) == 2

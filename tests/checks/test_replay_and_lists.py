"""Checks 56 to 58: answers from the cache, the list of models, embeddings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.events import Stored
from gateway.core.usage import Usage
from tests import loopback
from tests.checks.case import Case, calls, frames, on, streamed, whole
from tests.checks.test_tools import ASK, PARIS, WEATHER

EMBEDDER = "text-embedding-3-small"


async def test_56_a_replay_is_the_answer_again(case: Case) -> None:
    reasoning = "" if case.backend == "openai" else "Hm."
    usage = Usage(100, 20, cache_read_tokens=64, reasoning_tokens=8)
    case.upstream.script(loopback.Answer("Forty-two.", reasoning=reasoning, usage=usage))
    first = await case.ask("What is it?")
    await case.gateway.events.next(Stored)
    again = await case.ask("What is it?")
    assert len(case.upstream.requests) == 1
    assert again.model_dump() == first.model_dump()


async def test_56_a_replay_has_either_form(case: Case) -> None:
    """What was asked in one mode is replayed in the other."""
    await case.wire("What is it?")
    await case.gateway.events.next(Stored)
    other = await case.gateway.ask("What is it?", case.model, stream=not case.streamed)
    assert other.headers["x-thriftgate-cache"] == "hit"
    if case.streamed:
        said = other.json()["choices"][0]["message"]["content"]
    else:
        said = "".join(frame["choices"][0]["delta"].get("content") or "" for frame in frames(other))
    assert said == "You said: What is it?"


async def test_56_a_tool_call_is_asked_again(case: Case) -> None:
    """A call may have an effect, so it is not cached; what comes the second time is as whole as the first."""
    case.upstream.always(loopback.Answer(tool_calls=(PARIS,)))
    answers = [await case.ask(ASK, tools=[WEATHER]) for _ in range(2)]
    assert [calls(answer) for answer in answers] == [[("weather", {"city": "Paris"})]] * 2
    assert len(case.upstream.requests) == 2


@streamed
async def test_56_a_partial_answer_is_not_stored(case: Case) -> None:
    case.upstream.script(loopback.Cut(2))
    await case.wire("one two three")
    assert (await case.ask("one two three")).choices[0].message.content == "You said: one two three"


@whole
async def test_57_models_are_listed_and_got(case: Case) -> None:
    models = [model async for model in case.sdk.models.list()]
    assert all(model.id and model.created and model.owned_by and model.object == "model" for model in models)
    slashed = next(model.id for model in models if model.id.startswith(f"{case.backend}/"))
    assert (await case.sdk.models.retrieve(slashed)).id == slashed
    assert (await case.sdk.models.retrieve(case.model)).id == case.model
    for path in (slashed, slashed.replace("/", "%2F")):
        assert (await case.gateway.http.get(f"/v1/models/{path}")).json()["id"] == slashed


@on("openai")
@whole
@pytest.mark.parametrize(
    ("given", "rows"),
    [("one", 1), (["one", "two"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)],
    ids=["text", "batch", "tokens", "token-batch"],
)
@pytest.mark.parametrize("encoding", ["base64", "float"])
async def test_58_embeddings_take_every_input(case: Case, given: Any, rows: int, encoding: str) -> None:
    answer = await case.sdk.embeddings.create(model=EMBEDDER, input=given, encoding_format=encoding)  # type: ignore[arg-type]  # parametrised
    assert [row.index for row in answer.data] == list(range(rows))
    assert answer.usage.total_tokens > 0
    if encoding == "base64":
        assert all(isinstance(row.embedding, str) for row in answer.data)
    else:
        assert all(isinstance(number, float) for row in answer.data for number in row.embedding)


@on("openai")
@whole
async def test_58_dimensions_are_obeyed_and_the_sdks_silent_base64(case: Case) -> None:
    answer = await case.sdk.embeddings.create(model=EMBEDDER, input="one", dimensions=4)
    assert len(answer.data[0].embedding) == 4
    assert case.upstream.requests[-1].body["encoding_format"] == "base64"
    assert "one" in json.dumps(case.sent)

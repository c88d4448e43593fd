"""Checks 25 to 29: every form of message, images, and answers of every length."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests import loopback
from tests.checks.case import Case, on

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def image(url: str) -> dict[str, Any]:
    return user([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}])


@pytest.mark.parametrize("role", ["system", "developer"])
async def test_25_system_and_developer_reach_every_model(case: Case, role: str) -> None:
    middle = [user("Hello"), {"role": "assistant", "content": "Hi"}, {"role": role, "content": "Now in prose."}]
    answer = await case.ask([{"role": role, "content": "Answer in verse."}, *middle, user("Go on")])
    assert (answer.choices[0].message.content or "").endswith("Go on")
    wire = json.dumps(case.sent)
    assert wire.index("Answer in verse.") < wire.index("Now in prose.")
    assert wire.index("Hello") < wire.index("Now in prose.")


async def test_26_parts_neighbours_and_empty_answers_are_accepted(case: Case) -> None:
    parts = user([{"type": "text", "text": "one "}, {"type": "text", "text": "two"}])
    answer = await case.ask([user("first"), {"role": "assistant", "content": ""}, user("second"), parts])
    assert (answer.choices[0].message.content or "").startswith("You said:")
    assert all(text in json.dumps(case.sent) for text in ("first", "second", "one ", "two"))
    assert not case.upstream.refusals


@on("openai", "deepseek", "anthropic")
@pytest.mark.parametrize("url", [PIXEL, "https://example.com/cat.png"], ids=["data", "https"])
async def test_27_images_reach_a_model_that_sees(case: Case, url: str) -> None:
    await case.ask([image(url)])
    assert url.rpartition(",")[2] in json.dumps(case.sent)


@on("llamacpp")
async def test_27_images_are_refused_by_name_where_nothing_sees(case: Case) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await case.ask([image(PIXEL)])
    assert refused.value.param == "messages[0].content[1]"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_28_both_names_of_the_limit_limit(case: Case, field: str) -> None:
    answer = await case.ask("one two three four five six seven", **{field: 7})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 7


async def test_29_without_a_limit_a_long_answer_comes_whole(case: Case) -> None:
    """Longer than 4,096 tokens, the limit that careless gateways invent."""
    words = "word " * 4_200
    case.upstream.always(loopback.Answer(words))
    answer = await case.ask("Tell me everything.")
    assert answer.choices[0].message.content == words
    assert answer.choices[0].finish_reason == "stop"

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.checks.ending import emptiness, refusal, truncation
from tests.core.asking import asked


def choice(content: str | None, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish_reason}


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I can’t help with that.",
        "I am unable to provide medical advice.",
        "As an AI language model, I do not have access to real-time information.",
        "Unfortunately, I cannot access your files.",
        "I cannot fulfill this request.",
    ],
)
def test_a_refusal_is_found(answer: str) -> None:
    assert refusal(choice(answer)) is not None


@pytest.mark.parametrize(
    "answer",
    [
        "I can't recommend this film enough!",
        "Sorry to hear that! Here is what you can do: restart it.",
        "I'm sorry for your loss. Would you like to talk about her?",
        "Unfortunately, the train has left. The next one goes at 9:40.",
        "You cannot divide by zero.",
        "Dear Ann,\nI'm sorry I could not come. I was unable to provide a gift in time.",
        "I don't have a favourite, but blue is popular.",
    ],
)
def test_an_answer_that_only_sounds_like_one_is_none(answer: str) -> None:
    assert refusal(choice(answer)) is None


def test_the_providers_own_mark_is_a_refusal() -> None:
    assert refusal(choice(None, refusal="No.")) == "refused"
    assert refusal(choice("Well", "content_filter")) == "refused"


def test_an_answer_cut_by_the_models_limit_is_truncated_and_by_the_clients_own_it_is_not() -> None:
    assert truncation(asked(), choice("So it", "length")) is not None
    assert truncation(asked(max_tokens=5), choice("So it", "length")) is None
    assert truncation(asked(), choice("So it is.")) is None


def test_nothing_said_is_empty_unless_something_else_was_done_or_a_stop_string_wanted_it() -> None:
    assert emptiness(asked(), choice("  \n")) == "empty"
    assert emptiness(asked(), choice(None)) == "empty"
    assert emptiness(asked(), choice(None, tool_calls=[{"id": "1"}])) is None
    assert emptiness(asked(stop=["\n"]), choice("")) is None
    assert emptiness(asked(), choice("0")) is None

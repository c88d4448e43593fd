from __future__ import annotations

import pytest

from gateway.core.features import SCANNED_CHARS, features_of
from tests.core.asking import asked, picture, text, user


def test_the_question_is_the_last_user_message() -> None:
    features = features_of(asked("First", {"role": "assistant", "content": "Yes?"}, "Second"))
    assert (features.question, features.question_chars, features.turns) == ("Second", 6, 2)
    assert features.chars == len("FirstYes?Second")


def test_a_conversation_without_a_user_has_an_empty_question() -> None:
    assert features_of(asked({"role": "system", "content": "Begin."})).question == ""


def test_of_a_long_text_only_the_two_ends_are_read() -> None:
    features = features_of(asked("must " + "x" * SCANNED_CHARS + " must must " + "y" * SCANNED_CHARS + " must"))
    assert len(features.question) == SCANNED_CHARS + 1
    assert features.question_chars == 2 * SCANNED_CHARS + 21
    assert features.constraints == 2


def test_tools_schemas_and_images_are_counted_over_the_conversation() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}}
    features = features_of(
        asked(user([text("a"), picture(), picture()]), user([picture()]), tools=[{}, {}], response_format=schema)
    )
    assert (features.images, features.tools, features.schema) == (3, 2, True)


@pytest.mark.parametrize("response_format", [None, "json_schema", {"type": "json_object"}, {"type": "text"}])
def test_only_a_json_schema_is_a_schema(response_format: object) -> None:
    assert not features_of(asked(response_format=response_format)).schema


@pytest.mark.parametrize(
    "said",
    [
        "```\nx\n```",
        "Why?\n    def f(x):\n        return x",
        "from os import path",
        "const a = 1;",
        "SELECT name FROM users",
        "xs.map(x => x + 1)",
        "Traceback (most recent call last):",
        "#include <stdio.h>",
    ],
)
def test_code_is_seen(said: str) -> None:
    assert features_of(asked(said)).code


@pytest.mark.parametrize("said", [r"\frac{1}{2}", "∫ x dx", "solve x^2 = 4", "what is dy/dx", "3 = x + 2"])
def test_maths_is_seen(said: str) -> None:
    assert features_of(asked(said)).maths


@pytest.mark.parametrize(
    "said",
    ["Where is my class?", "I import wine from Italy.", "Let me know: it is 5 o'clock; thanks!", "We define it."],
)
def test_prose_is_neither_code_nor_maths(said: str) -> None:
    features = features_of(asked(said))
    assert not features.code
    assert not features.maths


def test_rules_are_counted_in_the_question_and_in_the_system_message() -> None:
    rules = {"role": "system", "content": "You must be brief. Never guess."}
    assert features_of(asked(rules, "- in French\n- at most 3 lines\n1. include dates")).constraints == 7


def test_a_first_message_that_is_a_users_is_not_counted_twice() -> None:
    assert features_of(asked("You must answer.")).constraints == 1

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.chat import ChatRequest, parse_chat
from gateway.core.fingerprint import DENY_LIST, exact_key, question, semantic_scope
from tests.core.asking import asked, picture, text, user

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CHECKED = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "thriftgate",
)
FIELD_NAMES = st.text(min_size=1).filter(lambda name: name not in DENY_LIST and name not in CHECKED)
EXTRAS = st.dictionaries(FIELD_NAMES, JSON, max_size=4)


def key(chat: ChatRequest, scope: str = "service:a", resolved: str = "tier:light") -> str:
    return exact_key(chat, scope, resolved)


def scope_of(chat: ChatRequest, scope: str = "service:a", resolved: str = "tier:light", engine: str = "onnx") -> str:
    return semantic_scope(chat, scope, resolved, engine)


def shuffled(value: Any) -> Any:
    """The same JSON with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {name: shuffled(inner) for name, inner in reversed(value.items())}
    return [shuffled(inner) for inner in value] if isinstance(value, list) else value


# the exact key


@given(EXTRAS, FIELD_NAMES, JSON)
def test_any_field_outside_the_deny_list_separates_answers(extras: dict[str, Any], name: str, value: Any) -> None:
    assume(name not in extras)
    assert key(asked(**extras)) != key(asked(**extras, **{name: value}))


@given(FIELD_NAMES, JSON, JSON)
def test_any_changed_value_separates_answers(name: str, one: Any, other: Any) -> None:
    assume(unicodedata.normalize("NFC", repr(one)) != unicodedata.normalize("NFC", repr(other)))
    assume(shuffled(one) != other and one != other)
    assert key(asked(**{name: one})) != key(asked(**{name: other}))


@given(EXTRAS)
def test_the_order_of_keys_changes_nothing(extras: dict[str, Any]) -> None:
    chat = asked("One", "Two", **extras)
    assert key(parse_chat(shuffled(chat.body))) == key(chat)


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_the_two_spellings_of_an_accent_are_one_question(said: list[str]) -> None:
    composed = asked(*(unicodedata.normalize("NFC", message) for message in said))
    taken_apart = asked(*(unicodedata.normalize("NFD", message) for message in said))
    assert key(composed) == key(taken_apart)


@pytest.mark.parametrize("name", sorted(DENY_LIST - {"model", "stream", "stream_options"}))
def test_who_asks_and_how_it_travels_changes_nothing(name: str) -> None:
    assert key(asked(**{name: "x"})) == key(asked())


def test_a_stream_and_a_whole_answer_are_one_answer() -> None:
    assert key(asked(stream=True, stream_options={"include_usage": True})) == key(asked())


def test_the_model_counts_as_what_it_was_resolved_to() -> None:
    assert key(asked(model="auto")) == key(asked(model="auto:light"))
    assert key(asked(), resolved="tier:light") != key(asked(), resolved="tier:heavy")


def test_tenants_do_not_see_each_other() -> None:
    assert key(asked(), scope="service:a") != key(asked(), scope="service:b")


def test_near_twins_are_strangers() -> None:
    twins = [
        asked("Hello"),
        asked("Hello."),
        asked("hello"),
        asked("Hello "),
        asked("Hello", "Hello"),
        asked({"role": "system", "content": "Hello"}),
        asked(user([text("Hello")])),
        asked({"role": "user", "name": "Ann", "content": "Hello"}),
        asked("Hello", temperature=0),
        asked("Hello", temperature=0.0),
        asked("Hello", temperature=None),
        asked("Hello", n=1),
        asked("Hello", n=True),
        asked("Hello", n="1"),
        asked("Hello", max_tokens=5),
        asked("Hello", max_completion_tokens=5),
        asked("Hello", tools=[]),
    ]
    assert len({key(twin) for twin in twins}) == len(twins)


def test_the_key_is_stable_between_releases() -> None:
    """A change here makes every stored answer a miss: do it on purpose."""
    assert key(asked("Hello")) == "07e0177e783f7206a2ff1d60d7d81046622ccafe16fa18e092be9574cf2015b9"
    assert scope_of(asked("Hello")) == "1e2778357533124d3c8a1d1ae558d70d5c6afa8a7469f8ee9d592bfec3c1bb3b"


# the semantic scope


@given(st.text(), st.text())
def test_the_scope_ignores_the_last_question(one: str, other: str) -> None:
    assert scope_of(asked("Before", one)) == scope_of(asked("Before", other))


@given(EXTRAS, FIELD_NAMES, JSON)
def test_the_scope_ignores_nothing_else(extras: dict[str, Any], name: str, value: Any) -> None:
    assume(name not in extras)
    assert scope_of(asked(**extras)) != scope_of(asked(**extras, **{name: value}))


@pytest.mark.parametrize(
    "other",
    [
        asked("Earlier.", "Question"),
        asked("Earlier", "Between", "Question"),
        asked("Question"),
        asked({"role": "system", "content": "Earlier"}, "Question"),
        asked("Earlier", {"role": "user", "name": "Ann", "content": "Question"}),
    ],
)
def test_another_conversation_is_another_scope(other: ChatRequest) -> None:
    assert scope_of(other) != scope_of(asked("Earlier", "Question"))


def test_tenant_route_and_embedder_are_part_of_the_scope() -> None:
    scopes = {
        scope_of(asked()),
        scope_of(asked(), scope="service:b"),
        scope_of(asked(), resolved="tier:heavy"),
        scope_of(asked(), engine="torch"),
        key(asked()),
    }
    assert len(scopes) == 5


# the question


def test_the_question_is_the_last_users_text() -> None:
    assert question(asked("Before", "Question")) == "Question"
    assert question(asked(user([text("one"), text("two")]))) == "one\ntwo"


@pytest.mark.parametrize(
    "chat",
    [
        asked("Hello", {"role": "assistant", "content": "Hi"}),
        asked("Hello", {"role": "tool", "tool_call_id": "1", "content": "42"}),
        asked(user([text("What is this?"), picture()])),
        asked(user([])),
        asked(" \n "),
    ],
)
def test_what_is_not_a_users_plain_text_has_no_question(chat: ChatRequest) -> None:
    assert question(chat) is None

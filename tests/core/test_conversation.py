from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import Message
from gateway.core.conversation import turn_of
from tests.core.asking import asked, user

ANSWER: Message = {"role": "assistant", "content": "Yes."}
CALL: Message = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
RESULT: Message = {"role": "tool", "tool_call_id": "1", "content": "4"}
SAID = st.text(max_size=20)


@given(st.lists(SAID, min_size=1, max_size=4), SAID)
def test_a_turn_is_found_by_the_one_before_it(said: list[str], then: str) -> None:
    messages = [message for text in said for message in (user(text), ANSWER)][:-1]
    first = turn_of(asked(*messages), "s")
    second = turn_of(asked(*messages, {"role": "assistant", "content": "Whatever it was."}, then), "s")
    assert second.before == first.key
    assert second.number == first.number + 1


def test_a_first_turn_has_none_before_it() -> None:
    assert turn_of(asked({"role": "system", "content": "Be brief."}, "Hello"), "s").before is None


def test_a_tool_loop_is_the_same_conversation() -> None:
    asking = turn_of(asked("Two and two?"), "s")
    assert turn_of(asked("Two and two?", CALL, RESULT), "s").before == asking.key


def test_what_was_changed_before_the_last_answer_is_another_conversation() -> None:
    one = turn_of(asked("Hello", ANSWER, "And?"), "s")
    assert turn_of(asked("Hullo", ANSWER, "And?"), "s").before != one.before


def test_nobody_finds_anothers_conversation_or_one_with_other_tools() -> None:
    def key(service: str = "s", **fields: Any) -> bytes:
        return turn_of(asked("Hello", **fields), service).key

    assert len({key(), key("t"), key(tools=[{"type": "function"}])}) == 3


def test_an_answer_that_the_client_has_begun_is_no_turn() -> None:
    assert turn_of(asked({"role": "assistant", "content": "I am"}), "s").before is None

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import Answer, ToolCall
from tests.loopback.answer import tokens


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


@given(st.text(), st.text(), st.integers(1, 20))
def test_an_answer_within_a_limit_costs_no_more_than_the_limit(text: str, reasoning: str, limit: int) -> None:
    answer = Answer(text, reasoning=reasoning)
    cut = answer.within(limit)
    assert cut.output_tokens <= limit
    assert (cut.finished == "length") is (answer.output_tokens > limit)


def test_an_answer_ends_before_the_first_stop_string() -> None:
    cut = Answer("one two STOP three").within(None, ("STOP",))
    assert (cut.text, cut.stopped_by, cut.finished) == ("one two ", "STOP", "stop")


def test_a_call_without_arguments_still_costs_a_token() -> None:
    assert Answer(tool_calls=(ToolCall("now", ""),)).output_tokens == 1

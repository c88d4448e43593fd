from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.checks.fences import parted
from gateway.core.checks.repetition import repetition

SENTENCE = "The sky is blue because of the light. "


@pytest.mark.parametrize(
    "answer",
    [
        SENTENCE * 10,
        "It all began well. " + "and then it went on and " * 20,
        "\n".join([f"{at}\nThe answer to your question is in the next line." for at in range(8)]),
    ],
)
def test_a_loop_is_found(answer: str) -> None:
    assert repetition("why is the sky blue?", answer) is not None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("repeat it ten times", SENTENCE * 10),
        ("a table", "| name | value |\n|---|---|\n" + "| some long name here | value |\n" * 12),
        ("zeros", "0, " * 200),
        ("a line", "-" * 500),
        ("code", "```python\n" + "print('hello hello hello hello')\n" * 20 + "```"),
        ("why?", SENTENCE * 3),
        ("why?", ""),
        ("laugh", "ha" * 400),
        ("a list", "\n".join(f"- The {at}th thing that I would like to name" for at in range(40))),
    ],
)
def test_what_is_asked_for_or_only_looks_alike_is_none(question: str, answer: str) -> None:
    assert repetition(question, parted(answer).prose) is None


@given(st.text(max_size=50), st.text(max_size=2_000))
def test_no_text_at_all_raises(question: str, answer: str) -> None:
    repetition(question, answer)


@given(
    st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=3, max_size=8).filter(
        lambda w: len({*w}) > 2
    )
)
def test_whatever_comes_before_it_a_phrase_without_end_is_a_loop(words: list[str]) -> None:
    phrase = " ".join(words) + " "
    assert repetition("why?", "It is so. " + phrase * 60) == "ends in a loop"

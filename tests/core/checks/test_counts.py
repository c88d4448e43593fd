from __future__ import annotations

import pytest

from gateway.core.checks.counts import Count, count_fault, counts_asked
from gateway.core.checks.fences import parted

FORTY = " ".join(["word"] * 40)
THREE = "- red\n- green\n- blue"


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("summarise this in at most 50 words", Count("most", 50, "words")),
        ("explain tls in under 1,000 words", Count("most", 1000, "words")),
        ("a reply of 30 words or less please", Count("most", 30, "words")),
        ("limit your answer to two sentences", Count("most", 2, "sentences")),
        ("answer in one word", Count("most", 1, "words")),
        ("write at least three paragraphs", Count("least", 3, "paragraphs")),
        ("give exactly three reasons", Count("exactly", 3, "items")),
        ("list exactly 5 good ideas", Count("exactly", 5, "items")),
        ("explain it in three bullet points", Count("exactly", 3, "items")),
        ("tell me in one sentence why", Count("exactly", 1, "sentences")),
    ],
)
def test_a_limit_in_numbers_is_found(question: str, count: Count) -> None:
    assert list(counts_asked(question)) == [count]


@pytest.mark.parametrize(
    "question",
    [
        "write a poem with a title of at most five words",
        "give three arguments, each in one sentence",
        "describe ten birds in at most 20 words each",
        "write 50 short stories under ten words in a creative way",
        "my essay has at least 500 words; is that too long?",
        "answer the questions in at most 50 words",
        "what do i do in two weeks?",
        "they scored at least 23 points",
        "the report may have up to 20 sentences per chapter",
    ],
)
def test_a_limit_of_a_part_or_of_something_else_is_nobodys_to_check(question: str) -> None:
    assert list(counts_asked(question)) == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("in at most 30 words", FORTY),
        ("write at least 60 words", FORTY),
        ("answer in one word", "It is blue."),
        ("in one sentence", "It is blue. The sky scatters light."),
        ("exactly two sentences", "It is blue."),
        ("give exactly four ideas", THREE),
        ("in two bullet points", THREE),
        ("in exactly two paragraphs", "One.\n\nTwo.\n\nThree."),
    ],
)
def test_an_answer_that_misses_it_has_a_fault(question: str, answer: str) -> None:
    assert count_fault(question, answer) is not None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("in at most 40 words", FORTY),
        ("in at most 37 words", FORTY),  # nobody minds three words
        ("answer in one word", "Blue."),
        ("answer in one word", "New York"),
        ("in one sentence", "Dr. A. Smith, e.g. at 3.5 km, met Mr. Jones at the U.S. embassy."),
        ("in one sentence", 'She said "no!" and left.'),
        ("exactly three ideas", THREE),
        ("exactly three ideas", "1. Red\n   - dark\n   - light\n2. Green\n3. Blue"),
        ("exactly three ideas", "Red, green and blue."),  # no list to count
        ("exactly three ideas", "# One\n- a\n- b\n# Two\n- c\n- d"),  # several lists
        ("exactly two sentences", "- one\n- two\n- three"),
        ("in at most 3 words", "这是一个很长的中文回答没有空格"),
        ("at most five words", "Here it is.\n```python\nprint('a b c d e f g h i')\n```"),
        ("what is the capital of france?", "Paris."),
    ],
)
def test_an_answer_that_meets_it_or_cannot_be_counted_has_none(question: str, answer: str) -> None:
    assert count_fault(question, parted(answer).prose) is None

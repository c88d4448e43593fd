from __future__ import annotations

import pytest

from gateway.core.checks.wording import script_fault, wording_fault


@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        ('write a slogan. include the word "fresh".', "Buy bread today!", "a required phrase is missing"),
        ('use the words "sun", "sea" and "sand".', "The sun and the sea.", "a required phrase is missing"),
        ('describe snow. do not use the word "white".', "Snow is white.", "a forbidden phrase is there"),
        ("describe it without using the words “cold” or “ice”.", "It is cold.", "a forbidden phrase is there"),
        ('start your answer with "dear sir".', "Hello!", "does not begin as asked"),
        ('end with the phrase "the end".', "And so on.", "does not end as asked"),
    ],
)
def test_an_answer_without_its_words_has_a_fault(question: str, answer: str, fault: str) -> None:
    assert wording_fault(question, answer) == fault


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ('include the word "fresh".', "Fresh bread!"),
        ('use the words "sun", "sea" and "sand".', "Sand, sun, SEA."),
        ('do not use the word "white".', "Whitewash is another word."),
        ('why should i avoid the word "very"?', '"Very" is weak.'),
        ('should i start with "dear sir"?', "It depends."),
        ('do not include the word "cheap".', "Good value."),
        ('start your answer with "dear sir".', "**Dear Sir,** I write"),
        ('finish with "the end".', "So it was. *The end.*"),
        ("what's the difference between 'affect' and 'effect'?", "One is a verb."),
    ],
)
def test_an_answer_with_its_words_has_none(question: str, answer: str) -> None:
    assert wording_fault(question, answer) is None


@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        ("answer in russian: what is the capital of france?", "Paris.", "no letter of russian"),
        ("translate 'good morning' to japanese", "Guten Morgen", "no letter of japanese"),
        ("translate 'good morning' into japanese", "おはようございます", None),
        ("say hello in chinese, in pinyin", "Nǐ hǎo", None),
        ("what is the best restaurant in greek street?", "I do not know.", None),
        ("write a story. she was born in korean times.", "Once.", None),
        ("answer in french: what is the capital?", "Paris.", None),
    ],
)
def test_a_language_with_letters_of_its_own_is_seen(question: str, answer: str, fault: str | None) -> None:
    assert script_fault(question, answer) == fault

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.options import DEFAULT, Options
from gateway.core.planning import make_plan
from gateway.core.review import CHECKS, NO_REVIEW, Check, Finding, Mode, Terms, review
from gateway.core.service import Service
from gateway.core.tiers import Tier
from tests.core.asking import asked
from tests.core.test_plan import CATALOG

ALL = Terms("whole")


def completion(*contents: str | None, finish_reason: str = "stop", **choice: Any) -> dict[str, Any]:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason, **choice}
        for at, content in enumerate(contents)
    ]
    return {"id": "c", "object": "chat.completion", "choices": choices}


def test_a_good_answer_passes() -> None:
    assert review(asked("What is the capital of France?"), completion("Paris."), ALL) is None


@pytest.mark.parametrize(
    ("question", "answer", "check"),
    [
        ("Hello?", "", "empty"),
        ("Who won?", "I'm sorry, but I can't help with that.", "refusal"),
        ("Write code.", "```python\ndef f(:\n```", "code"),
        ("Explain it in one sentence.", "One. Two. Three.", "count"),
        ('Include the word "fresh".', "Bread.", "wording"),
        ("Answer in Russian.", "Paris.", "script"),
        ("How many?", "3 * 60 = 190", "sums"),
        ("Return only JSON.", "Well.", "schema"),
        ("Why?", "and then it went on and on. " * 20, "repetition"),
    ],
)
def test_what_is_wrong_with_an_answer_has_a_name(question: str, answer: str, check: Check) -> None:
    found = review(asked(question), completion(answer), ALL)
    assert found is not None
    assert found.check == check


def test_a_limit_of_the_system_message_counts_too() -> None:
    chat = asked({"role": "system", "content": "Always answer in one sentence."}, "Why is the sky blue?")
    assert review(chat, completion("Light. It scatters."), ALL) == Finding(
        "count", "2 sentences where 1 were asked for"
    )


def test_an_older_question_does_not() -> None:
    chat = asked("In one word: why?", {"role": "assistant", "content": "Light."}, "Explain.")
    assert review(chat, completion("Because blue light scatters more."), ALL) is None


def test_a_check_that_the_service_does_not_want_is_not_asked() -> None:
    chat, answer = asked("How many?"), completion("3 * 60 = 190")
    assert review(chat, answer, Terms("whole", without=frozenset({"sums"}))) is None


def test_one_bad_choice_of_several_is_enough() -> None:
    assert review(asked(n=2), completion("Hello!", ""), ALL) == Finding("empty", "empty")


def test_prose_is_not_expected_of_what_a_schema_shapes() -> None:
    chat = asked("In one sentence.", response_format={"type": "json_object"})
    assert review(chat, completion('{"a": "One. Two."}'), ALL) is None


def test_log_probabilities_are_looked_at_where_a_least_one_is_set_and_they_are_there() -> None:
    tokens = {"content": [{"token": "a", "logprob": -3.0}, {"token": "b", "logprob": -1.0}]}
    unsure = completion("a b", logprobs=tokens)
    assert review(asked(), unsure, ALL) is None
    assert review(asked(), unsure, Terms("whole", min_logprob=-2.5)) is None
    assert review(asked(), unsure, Terms("whole", min_logprob=-1.5)) == Finding("logprob", "unlikely tokens")
    assert review(asked(), completion("a b", logprobs=None), Terms("whole", min_logprob=-0.1)) is None


@pytest.mark.parametrize(
    ("mode", "stream", "covered"),
    [
        ("off", False, False),
        ("off", True, False),
        ("whole", False, True),
        ("whole", True, False),
        ("buffered", False, True),
        ("buffered", True, True),
    ],
)
def test_a_mode_says_which_answers_are_reviewed(mode: Mode, stream: bool, covered: bool) -> None:
    assert Terms(mode).covers(asked(stream=stream)) == covered


def test_nothing_is_reviewed_unless_a_service_says_so() -> None:
    assert not NO_REVIEW.covers(asked())


@given(st.text(max_size=200), st.text(max_size=500))
def test_any_answer_to_any_question_is_reviewed_without_raising(question: str, answer: str) -> None:
    found = review(asked(question), completion(answer), ALL)
    assert found is None or found.check in CHECKS


@given(st.text("abcdefgh secretword", min_size=12, max_size=60))
def test_a_fault_never_quotes_the_prompt_or_the_answer(text: str) -> None:
    found = review(asked(f'Include the word "{text}" in one word.'), completion("No. Never. No!"), ALL)
    assert found is not None
    assert text not in found.fault


SHOP = Service("shop", review=ALL)
LOOKUP = "What is the capital of France?"


def test_a_plan_for_a_light_answer_says_that_it_is_reviewed_and_its_key_says_so() -> None:
    plan = make_plan(asked(LOOKUP), DEFAULT, SHOP, CATALOG, 0.0)
    assert (plan.tier, plan.reviewed, plan.resolved) == (Tier.LIGHT, True, "tier:light:reviewed")
    assert make_plan(asked(LOOKUP), DEFAULT, Service("other"), CATALOG, 0.0).resolved == "tier:light"


@pytest.mark.parametrize(
    ("said", "model", "options"),
    [
        (LOOKUP, "auto:light", DEFAULT),
        (LOOKUP, "auto", Options(tier=Tier.LIGHT)),
        (LOOKUP, CATALOG.models[0].name, DEFAULT),
        ("Prove by induction that there are infinitely many primes.", "auto", DEFAULT),
    ],
)
def test_what_was_asked_for_and_what_is_heavy_is_not(said: str, model: str, options: Options) -> None:
    assert not make_plan(asked(said, model=model), options, SHOP, CATALOG, 0.0).reviewed


def test_a_very_long_answer_is_only_looked_at_for_a_loop() -> None:
    words = " ".join(f"word{at}" for at in range(10_000))
    assert review(asked("In one word?"), completion(words), ALL) is None
    looping = review(asked("In one word?"), completion(words + " and so it went on" * 40), ALL)
    assert looping == Finding("repetition", "ends in a loop")


HOSTILE = ("```\n", "````\n```\n", "- a\n", "1+1=", "{", "[1,", '"a" ', ". ", "1,111,", "a" * 50 + " ", "\n", "#\n|")


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_answer_takes_more_than_linear_time(unit: str) -> None:
    """Twenty times the bound of a quiet machine, which still finds what is quadratic."""
    question = 'In exactly 3 sentences and at most 9 words, include the words "a", "b". Answer only in JSON.'
    began_s = time.thread_time()
    review(asked(question), completion(unit * (40_000 // len(unit))), ALL)
    assert time.thread_time() - began_s < 0.6


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"message": None},
        {"message": {"content": [{"type": "text", "text": "Paris."}, {"type": "image"}]}},
        {"message": {"content": 3}},
        {"message": {"content": "x", "tool_calls": ["f", None]}},
        {"message": {"content": None, "tool_calls": [{"type": "function", "function": "f"}]}},
        {"message": {"content": None, "tool_calls": [{"type": "function", "function": {"name": ["f"]}}]}},
        {"message": {"content": None, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": 1}}]}},
        {"message": {"content": "x"}, "logprobs": {"content": [None, {"logprob": "low"}]}},
        {"message": {"content": "x"}, "finish_reason": ["stop"]},
    ],
)
def test_an_answer_of_an_odd_shape_is_reviewed_without_raising(choice: dict[str, Any]) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}, "g", {"function": 1}]
    review(asked(LOOKUP, tools=tools), {"choices": [choice]}, Terms("whole", min_logprob=-1.0))
    review(asked(LOOKUP), {}, ALL)

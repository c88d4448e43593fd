from __future__ import annotations

import string
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.verify import LONGEST_CHARACTERS, verify

OTHER_ANSWER = [
    ("numbers", "Name 3 rivers in Peru", "Name 5 rivers in Peru"),
    ("numbers", "Name three rivers in Peru", "Name five rivers in Peru"),
    ("numbers", "What is 15% of 80?", "What is 15% of 8.0?"),
    ("numbers", "How was the 2019 harvest?", "How was the 2021 harvest?"),
    ("units", "Is 20 mg too much?", "Is 20 g too much?"),
    ("units", "Can I call at 8 am?", "Can I call at 8 pm?"),
    ("units", "Turn 4 feet into metres", "Turn 4 metres into feet"),
    ("numbers in another order", "Sum 3 pears and 4 plums", "Sum 4 pears and 3 plums"),
    ("negation", "Which trees lose their leaves?", "Which trees don't lose their leaves?"),
    ("negation", "Can I fly without my passport and visa?", "Can I fly, my passport and visa in hand?"),
    ("opposites", "How do I enable cookies?", "How do I disable cookies?"),
    ("opposites", "May I eat before the blood test?", "May I eat after the blood test?"),
    ("opposites", "Is this mushroom edible and safe?", "Is this mushroom edible and unsafe?"),
    ("opposites", "What was his first wife called?", "What was his last wife called?"),
    ("another time or case", "Is Ms Ito the mayor?", "Is Ms Ito becoming the mayor?"),
    ("another time or case", "Is Ms Ito the mayor?", "Did Ms Ito use to be the mayor?"),
    ("names", "How tall is the tower in Pisa?", "How tall is the tower in Paris?"),
    ("names", "Does the T480s have two slots?", "Does the X280s have two slots?"),
    ("order", "Trains from Lyon to Nice", "Trains from Nice to Lyon"),
    ("order", "Does Carla owe Bruno money?", "Does Bruno owe Carla money?"),
    ("active and passive", "Did Carla sue Bruno?", "Was Carla sued by Bruno?"),
    ("pronouns", "Jan and Eva met; did he call her?", "Jan and Eva met; did she call him?"),
    ("quoted", "What does 'carpe diem' mean?", "What does 'tempus fugit' mean?"),
    ("quoted", "Explain `xs[1:]`", "Explain `xs[:1]`"),
    ("operators", "When is x < y?", "When is x > y?"),
    ("operators", "Solve 2x + 6 = 0", "Solve 2x - 6 = 0"),
    ("language", "Reverse a list in Python", "Reverse a list in Rust"),
    ("language", "how do you say cheese in french", "how do you say cheese in polish"),
    ("format", "List the planets as JSON", "List the planets as CSV"),
    ("format", "Explain entropy briefly", "Explain entropy in detail"),
    ("another relation", "How old is the pilot?", "How old is the sister of the pilot?"),
    (
        "filled in differently",
        "You are a kind clerk. Read the complaint below and say in one word what it is about: my parcel is wet",
        "You are a kind clerk. Read the complaint below and say in one word what it is about: my bill is wrong",
    ),
    ("names", "明天柏林的天气怎么样", "明天巴黎的天气怎么样"),
]

SAME_ANSWER = [
    ("How do I reset my password?", "how do i reset my password"),
    ("How do I reset my password?", "How  do I reset\nmy password ?!"),
    ("How do I reset my password?", "How do I reste my password?"),
    ("How do I reset my password?", "Could you please tell me how I reset my password?"),
    ("How do I reset my password?", "Couldn't you tell me how I reset my password?"),
    ("What is a monad?", "What's a monad?"),
    ("What is a monad?", "Explain what a monad is."),
    ("Why is the sky blue?", "Why is the sky blue, isn't it?"),
    ("Do I need a visa?", "Do I need a visa or not?"),
    ("Name three rivers in Peru", "Name 3 rivers in Peru"),
    ("Is 1,000 metres far?", "Is 1000 meters far?"),
    ("Is Carla married to Bruno?", "Is Bruno married to Carla?"),
    ("Did Carla sue Bruno?", "Was Bruno sued by Carla?"),
    ("How can I find work in Norway?", "In Norway, how can I find a job?"),
    ("I am not being recognised by Carla", "I am not recognised by Carla"),
    ("How far is Oslo from Bergen?", "How far, um, is Oslo from Bergen?"),
    ("When did the war end?", "Who started no wait when did the war end?"),
    ("Which movie should I watch?", "Which film should I watch?"),
    ("WHO WROTE THE ILIAD", "Who wrote the Iliad?"),
    ("Write a short story about a fox", "Write a brief story about a fox"),
]


@pytest.mark.parametrize(("reason", "asked", "stored"), OTHER_ANSWER)
def test_questions_with_other_answers_are_blocked_for_the_right_reason(reason: str, asked: str, stored: str) -> None:
    verdict = verify(asked, stored)
    assert not verdict.ok
    assert reason in verdict.reasons


@pytest.mark.parametrize(("asked", "stored"), SAME_ANSWER)
def test_one_question_in_other_words_passes(asked: str, stored: str) -> None:
    verdict = verify(asked, stored)
    assert verdict.ok, verdict.reasons


def test_a_text_over_the_limit_is_never_verified() -> None:
    text = "a" * LONGEST_CHARACTERS
    assert verify(text, text + "b").reasons == ("too long",)
    assert verify(text + "b", text).reasons == ("too long",)


def test_a_correction_passes_only_where_the_rest_is_the_same_to_the_word() -> None:
    assert verify("What happened in 1979?", "What happened in 1977 no sorry 1979?").ok
    assert not verify("What happened in 1977?", "What happened in 1977 no sorry 1979?").ok
    assert not verify("Do I have money?", "Do I have no money?").ok


def test_a_slip_is_not_forgiven_in_figures_and_code() -> None:
    assert not verify("Is 12 prime?", "Is 21 prime?").ok
    assert not verify(r"Explain `^\d+$`", r"Explain `^\d*$`").ok


QUESTION = st.text(st.sampled_from(string.printable + "’“”é东"), max_size=120)
WORDS = """
is the Carla Bruno owe not n't 12 three mg from to by was sued he her `x` < no wait sorry used only and
"""
WORDY = st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join)


@given(QUESTION | WORDY)
def test_a_question_is_the_same_as_itself(text: str) -> None:
    assert verify(text, text).ok
    assert verify(text, f" {text} ").ok


@given(QUESTION | WORDY, QUESTION | WORDY)
@example("", "a")
@example("'", "''")
def test_the_verdict_does_not_depend_on_which_was_asked_first(one: str, two: str) -> None:
    assert verify(one, two).ok == verify(two, one).ok


@given(WORDY, st.integers(0, 99), st.integers(0, 99))
def test_another_figure_is_always_blocked(text: str, one: int, two: int) -> None:
    if one != two:
        assert not verify(f"{text} figure {one} end", f"{text} figure {two} end").ok


@given(st.lists(st.sampled_from(["Ada", "Bela", "Cyra", "Dagny"]), min_size=2, max_size=2, unique=True))
def test_two_people_never_change_places_unseen(people: Sequence[str]) -> None:
    one, two = people
    for verb in ("trust", "pay", "outrank", "insult"):
        assert not verify(f"Why did {one} {verb} {two}?", f"Why did {two} {verb} {one}?").ok
        assert not verify(f"Why did {one} {verb} {two}?", f"Why was {one} {verb}ed by {two}?").ok

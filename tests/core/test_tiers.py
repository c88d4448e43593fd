from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import Message
from gateway.core.features import features_of
from gateway.core.tiers import Classified, Tier, classify
from tests.core.asking import asked, picture, text, user


def classified(*messages: Message | str, **fields: Any) -> Classified:
    return classify(features_of(asked(*messages, **fields)))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Hi", "greeting"),
        ("Hello! How are you today?", "greeting"),
        ("Thank you!", "greeting"),
        ("Translate to French: where is the station?", "translation"),
        ("Please say 'good night' in Spanish.", "translation"),
        ("Rewrite this more politely: send me the file.", "rewriting"),
        ("Fix the grammar: he go to school.", "rewriting"),
        ("What is the capital of France?", "lookup"),
        ("Who wrote Moby Dick?", "lookup"),
        ("When was the Berlin Wall built?", "lookup"),
        ("What does NASA stand for?", "lookup"),
        ("Is the sentiment positive or negative? 'I loved it.'", "extraction"),
        ("Extract the dates: we met on 3 May and 5 June.", "extraction"),
        ("Convert 5 miles to kilometres", "conversion"),
    ],
)
def test_a_short_everyday_task_is_light(said: str, reason: str) -> None:
    found = classified(said)
    assert found.tier is Tier.LIGHT
    assert reason in found.reasons


@pytest.mark.parametrize(
    "said",
    [
        "Tell me about dragons.",
        "What should I cook tonight?",
        "",
        "?",
        "写一首关于月亮的诗",
        "What are the implications of Gödel's incompleteness theorems for physics?",
        "What is the best way to settle a border dispute?",
        "Define a class of graphs for which this holds.",
        "How many ways are there to seat five couples at a round table?",
        "When is it ethical to break a promise, and why?",
        "Hi! My landlord kept my deposit and I want to know what I can do about it.",
        "Hello, please design a database for a hospital.",
        "Where should the equations of motion be linearised?",
    ],
)
def test_without_a_light_signal_nothing_is_light(said: str) -> None:
    assert classified(said).tier is not Tier.LIGHT


def test_no_signal_is_medium_and_says_so() -> None:
    assert classified("Tell me about dragons.") == Classified(Tier.MEDIUM, ("no signal",))


@pytest.mark.parametrize(
    "said",
    [
        "What is the pH of 0.1 M acetic acid if Ka is 1.8e-5?",
        "Balance KMnO4 + HCl = KCl + MnCl2 + H2O + Cl2",
        "What is the reaction mechanism of an SN1 substitution?",
        "Who was right about the stoichiometry here: 2 mol H2 or 1 mol?",
        "Is a verbal contract binding in California?",
        "What is the statute of limitations for fraud?",
        "Can my employer enforce a non-compete clause after redundancy?",
        "What are the contraindications of warfarin?",
        "Who is liable if my dog bites a visitor?",
        "When can my landlord evict me?",
        "Where should I invest my savings?",
        "Prove that the square root of 2 is irrational.",
        "Show that every finite group of prime order is cyclic.",
        "Who proved Fermat's last theorem, and how does the proof of it go?",
        "What is the integral of sin(x)^3?",
        "Translate this proof of the lemma into Coq.",
        "Rewrite this function in Rust.",
        "Extract the eigenvalues of [[2, 1], [1, 2]]",
    ],
)
def test_chemistry_law_medicine_mathematics_and_code_are_never_light(said: str) -> None:
    assert classified(said).tier is not Tier.LIGHT


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ("Prove that there are infinitely many primes.", {"proof"}),
        ("Design a distributed rate limiter and discuss the trade-offs.", {"design", "optimisation"}),
        ("Debug this race condition:\n```\nlock()\n```", {"debugging", "code"}),
        ("Analyze this contract for liability, critically.", {"analysis", "expert domain"}),
    ],
)
def test_two_strong_signals_or_a_proof_are_heavy(said: str, reasons: set[str]) -> None:
    found = classified(said)
    assert found.tier is Tier.HEAVY
    assert reasons <= set(found.reasons)


def test_what_is_not_words_weighs_too() -> None:
    rules = "\n".join(f"- rule {number}" for number in range(5))
    schema = {"type": "json_schema", "json_schema": {}}
    heavy = classified(user([text(rules), picture()]), tools=[{}], response_format=schema)
    assert heavy == Classified(Tier.HEAVY, ("5 constraints", "JSON schema", "1 tools", "1 images"))


@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        ([user([text("Translate this."), picture()])], {}),
        (["Translate this."], {"tools": [{}]}),
        (["Translate this."], {"response_format": {"type": "json_schema"}}),
        (["Translate this."] * 7, {}),
        (["Translate this, but never use idioms, always keep names, and only answer in prose."], {}),
        (["Translate this. " + "x" * 2_000], {}),
        (["What is the capital of France? " + "x" * 300], {}),
    ],
)
def test_a_light_task_is_not_light_with_more_around_it(messages: list[Message | str], fields: dict[str, Any]) -> None:
    assert classified(*messages, **fields).tier is Tier.MEDIUM


def test_a_text_to_work_on_may_be_longer_than_a_question() -> None:
    assert classified("Proofread this: " + "The cat sat on the mat. " * 40).tier is Tier.LIGHT


def test_a_task_after_a_long_text_is_seen() -> None:
    assert "proof" in classified("x" * 10_000 + "\nProve that this halts.").reasons


@pytest.mark.parametrize(
    "said", ["WHAT IS THE CAPITAL OF FRANCE?", "  what is the capital of france", "\nwho wrote it?"]
)
def test_case_and_space_change_nothing(said: str) -> None:
    assert classified(said).tier is Tier.LIGHT


def test_tiers_are_ranked() -> None:
    assert [tier.rank for tier in (Tier.LIGHT, Tier.MEDIUM, Tier.HEAVY)] == [0, 1, 2]


WORDS = st.sampled_from(
    ["prove that", "translate", "hi", "design a", "debug", "capital of", "code", "x", "\n", "- a", "why"]
)


@given(st.lists(WORDS | st.text(max_size=5)).map(" ".join), st.integers(0, 1), st.integers(0, 1))
def test_there_is_always_a_reason_and_it_is_said_once(said: str, tools: int, pictures: int) -> None:
    found = classified(user([text(said), *[picture()] * pictures]), tools=[{}] * tools)
    assert found.reasons
    assert len(set(found.reasons)) == len(found.reasons)


@given(st.lists(WORDS).map(" ".join))
def test_asking_for_a_proof_as_well_is_always_heavy(said: str) -> None:
    assert classified(f"{said} prove that it holds").tier is Tier.HEAVY

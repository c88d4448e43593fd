"""Which fields are sent, dropped or refused, by provider and by model."""

from __future__ import annotations

from typing import Any, get_args

import orjson
import pytest

from gateway.core.errors import UnsupportedParameter
from gateway.core.profile import Profile
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.deepseek import DeepSeek
from gateway.dialects.dialect import Dialect
from gateway.dialects.llamacpp import LlamaCpp
from gateway.dialects.openai import OpenAI
from gateway.dialects.openai_messages import CACHE_MARKS
from gateway.dialects.parameters import ROWS, Speaker, settle
from tests.dialects.asking import USER, WEATHER, encode

SPEAKERS = get_args(Speaker)
MEANING = [field for field, row in ROWS.items() if row.fate == "meaning"]
HINTS = [field for field, row in ROWS.items() if row.fate == "hint"]
OPEN = Profile(reasoning="effort")
MARK = {"cache_control": {"type": "ephemeral"}}


def refused(body: dict[str, Any], speaker: Speaker = "openai", profile: Profile = OPEN) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        settle(body, speaker, profile)
    return caught.value.param


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("field", sorted(ROWS))
def test_a_field_is_sent_where_it_is_known_else_dropped_or_refused_by_name(field: str, speaker: Speaker) -> None:
    row = ROWS[field]
    if speaker in row.spoken:
        assert settle({field: 7}, speaker, OPEN) == ({field: 7}, [])
    elif row.fate == "meaning":
        assert refused({field: 7}, speaker) == field
    else:
        assert settle({field: 7}, speaker, OPEN) == ({}, [field] if row.fate == "hint" else [])


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("field", sorted(ROWS))
def test_a_value_that_asks_for_nothing_is_nobodys_trouble(field: str, speaker: Speaker) -> None:
    for neutral in (None, ROWS[field].neutral):
        kept, dropped = settle({field: neutral}, speaker, OPEN)
        assert kept in ({}, {field: neutral})
        assert dropped == []


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_a_field_nobody_knows_is_the_providers_business(speaker: Speaker) -> None:
    assert settle({"brand_new": 1}, speaker, OPEN) == ({"brand_new": 1}, [])


@pytest.mark.parametrize(
    ("facts", "field", "value"),
    [
        ({"n": False}, "n", 2),
        ({"stop": False}, "stop", ["END"]),
        ({"logprobs": False}, "logprobs", True),
        ({"logprobs": "without_reasoning"}, "top_logprobs", 3),
    ],
)
def test_a_model_that_does_not_take_what_changes_meaning_refuses_it(
    facts: dict[str, Any], field: str, value: Any
) -> None:
    assert refused({field: value}, profile=Profile(**facts)) == field


@pytest.mark.parametrize(
    ("facts", "field", "value"),
    [
        ({"sampling": False}, "temperature", 0.5),
        ({"sampling": False}, "presence_penalty", 1),
        ({"sampling": "without_reasoning"}, "top_p", 0.5),
        ({"reasoning": "none"}, "reasoning_effort", "high"),
        ({"service_tiers": ("auto", "flex")}, "service_tier", "scale"),
        ({"prompt_cache": "automatic"}, "prompt_cache_options", {"mode": "explicit"}),
        ({"prompt_cache": "automatic"}, "cache_control", {"type": "ephemeral"}),
    ],
)
def test_a_model_that_does_not_take_a_hint_loses_and_names_it(facts: dict[str, Any], field: str, value: Any) -> None:
    assert settle({field: value}, "openai", Profile(**{"reasoning": "effort", **facts})) == ({}, [field])


def test_sampling_and_logprobs_pass_while_the_model_does_not_reason() -> None:
    profile = Profile(sampling="without_reasoning", logprobs="without_reasoning", reasoning="effort")
    quiet = {"reasoning_effort": "none", "temperature": 0.5, "logprobs": True}
    assert settle(quiet, "openai", profile) == (quiet, [])
    disabled = {"thinking": {"type": "disabled"}, "temperature": 0.5}
    assert settle(disabled, "deepseek", profile) == (disabled, [])


@pytest.mark.parametrize("dialect", [OpenAI(), Anthropic()])
def test_a_row_may_name_fields_that_its_server_takes_besides(dialect: Dialect) -> None:
    facts = {"extra_fields": ("min_p", "grammar", "brand_new")}
    request = encode(dialect, facts=facts, min_p=0.1, grammar="root ::= x", brand_new=1)
    assert {"min_p", "grammar", "brand_new"} <= orjson.loads(request.body).keys()
    assert request.dropped == ()


def test_each_fate_has_its_fields() -> None:
    assert {"n", "logprobs", "audio", "modalities"} <= set(MEANING)
    assert {"seed", "user", "store", "service_tier"} <= set(HINTS)


MARKED = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}, "prompt_cache_breakpoint": {"x": 1}}


@pytest.mark.parametrize(
    ("dialect", "cache", "left"),
    [
        (OpenAI(), "breakpoints", {"prompt_cache_breakpoint"}),
        (OpenAI(), "automatic", set()),
        (DeepSeek(), None, set()),
        (LlamaCpp(), None, set()),
        (Anthropic(), None, {"cache_control"}),
    ],
)
def test_cache_marks_reach_only_who_reads_them_and_the_others_are_named(
    dialect: Dialect, cache: str | None, left: set[str]
) -> None:
    messages = [{"role": "user", "content": [MARKED]}]
    request = encode(dialect, facts={"prompt_cache": cache}, messages=messages, tools=[{**WEATHER, **MARK}])
    wire = request.body.decode()
    assert {mark for mark in CACHE_MARKS if mark in wire} == left
    assert "long" in wire
    if not isinstance(dialect, Anthropic):
        assert set(request.dropped) == CACHE_MARKS - left
    assert messages == [{"role": "user", "content": [MARKED]}]


@pytest.mark.parametrize("dialect", [OpenAI(), DeepSeek(), LlamaCpp(), Anthropic()])
def test_an_answer_begun_by_the_client_is_refused_where_it_cannot_be_continued(dialect: Dialect) -> None:
    begun = [USER, {"role": "assistant", "content": "The answer is"}]
    with pytest.raises(UnsupportedParameter) as caught:
        encode(dialect, facts={"prefill": False}, messages=begun)
    assert caught.value.param == "messages"
    assert encode(dialect, messages=begun)

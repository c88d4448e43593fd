"""Checks 30 to 39: parameters that a model has, has not, or has under another name."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from gateway.core.usage import Usage
from tests import loopback
from tests.checks.case import MODELS, Case, on, whole
from tests.checks.test_tools import ASK, PARIS, WEATHER, result

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
AS_SCHEMA = {"type": "json_schema", "json_schema": {"name": "town", "strict": True, "schema": SCHEMA}}

LYON = '{"city": "Lyon", "people": 520000}'


class Town(BaseModel):
    city: str
    people: int


@pytest.mark.parametrize("stop", ["three", ["five", "three"]], ids=["text", "list"])
async def test_30_stop_strings_stop(case: Case, stop: Any) -> None:
    answer = await case.ask("one two three four five", stop=stop)
    assert answer.choices[0].message.content == "You said: one two "
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("sampling", [{"temperature": 0.2}, {"temperature": 2, "top_p": 0.5}], ids=["cold", "both"])
async def test_31_sampling_works_or_is_dropped_by_name(case: Case, sampling: dict[str, Any]) -> None:
    response = await case.wire(**sampling)
    dropped = response.headers.get("x-thriftgate-dropped-params", "").split(",")
    assert response.status_code == 200
    assert all(name in dropped or name in case.sent for name in sampling)


@pytest.mark.parametrize(
    ("fields", "param"), [({"n": 2}, "n"), ({"logprobs": True}, "logprobs")], ids=["n", "logprobs"]
)
async def test_32_what_changes_meaning_is_honoured_or_refused_by_name(
    case: Case, fields: dict[str, Any], param: str
) -> None:
    answer = await case.ask_or_refused(param, "Hello there", **fields)
    if answer is not None:
        assert len(answer.choices) == fields.get("n", 1)
        assert (answer.choices[0].logprobs is not None) == ("logprobs" in fields)


async def test_33_a_json_schema_is_kept_and_no_tool_leaks(case: Case) -> None:
    case.upstream.always(loopback.Answer(LYON))
    answer = await case.ask("Lyon", response_format=AS_SCHEMA)
    message = answer.choices[0].message
    assert Town.model_validate_json(message.content or "") == Town(city="Lyon", people=520_000)
    assert "people" in json.dumps(case.sent), "the schema has to reach the model"
    assert not message.tool_calls
    assert answer.choices[0].finish_reason == "stop"


@whole
async def test_33_the_sdk_parses_a_model(case: Case) -> None:
    case.upstream.always(loopback.Answer(LYON))
    answer = await case.sdk.chat.completions.parse(
        model=case.model, messages=[{"role": "user", "content": "Lyon"}], response_format=Town
    )
    assert isinstance(answer.choices[0].message.parsed, Town)


async def test_34_a_json_object_is_json(case: Case) -> None:
    case.upstream.always(loopback.Answer('{"city": "Lyon"}'))
    answer = await case.ask("Answer in JSON: where?", response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content or "") == {"city": "Lyon"}


@on("openai", "anthropic")
async def test_34_a_refusal_ends_with_content_filter(case: Case) -> None:
    case.upstream.always(loopback.Answer("I cannot", finish="content_filter"))
    answer = await case.ask("Something bad")
    assert answer.choices[0].finish_reason == "content_filter"


@whole
async def test_34_a_cut_object_raises_the_sdks_length_error(case: Case) -> None:
    case.upstream.always(loopback.Answer('{"city": "Ly', finish="length"))
    with pytest.raises(openai.LengthFinishReasonError):
        await case.sdk.chat.completions.parse(
            model=case.model, messages=[{"role": "user", "content": "Lyon"}], response_format=Town
        )


@on("deepseek", "anthropic", "llamacpp")
async def test_35_reasoning_comes_out_and_goes_to_no_other_provider(case: Case) -> None:
    case.upstream.always(loopback.Answer("Forty-two.", reasoning="Six times seven."))
    first = (await case.ask("What is it?")).choices[0].message
    dumped = first.model_dump()
    assert dumped["reasoning_content"] == "Six times seven."
    messages = [{"role": "user", "content": "What is it?"}, dumped, {"role": "user", "content": "Sure?"}]
    for backend in set(MODELS) - {case.backend}:
        await case.ask(messages, model=MODELS[backend])
        if backend != "deepseek":  # which has a field for it
            assert "Six times seven." not in json.dumps(case.upstreams[backend].requests[-1].body)


@on("deepseek")
async def test_36_a_tool_loop_goes_on_although_the_client_dropped_the_reasoning(case: Case) -> None:
    case.upstream.script(loopback.Answer(tool_calls=(PARIS,), reasoning="I should look."))
    first = (await case.ask(ASK, tools=[WEATHER])).choices[0].message
    kept = {"role": "assistant", "content": first.content, "tool_calls": first.model_dump()["tool_calls"]}
    messages = [{"role": "user", "content": ASK}, kept, result(kept["tool_calls"][0]["id"], "18 degrees")]
    await case.ask(messages, tools=[WEATHER])
    assert "reasoning_content" in case.sent["messages"][1]


@pytest.mark.parametrize("effort", ["low", "high"])
async def test_37_reasoning_effort_is_taken_or_dropped_by_name(case: Case, effort: str) -> None:
    response = await case.wire(reasoning_effort=effort)
    assert response.status_code == 200
    dropped = "reasoning_effort" in response.headers.get("x-thriftgate-dropped-params", "")
    assert dropped or effort in json.dumps(case.sent)


async def test_38_cached_tokens_are_part_of_the_prompt(case: Case) -> None:
    case.upstream.always(loopback.Answer("Hi", usage=Usage(100, 5, cache_read_tokens=64)))
    usage = (await case.ask("Hello")).usage
    assert usage is not None
    assert usage.prompt_tokens == 100
    assert usage.total_tokens == 105
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 64


async def test_39_cache_marks_pass_to_anthropic_and_nowhere_else(case: Case) -> None:
    case.upstream.always(loopback.Answer("Hi", usage=Usage(100, 5, cache_write_tokens=90)))
    part = {"type": "text", "text": "A long prefix.", "cache_control": {"type": "ephemeral"}}
    usage = (await case.ask([{"role": "system", "content": [part]}, {"role": "user", "content": "Hello"}])).usage
    assert ("cache_control" in json.dumps(case.sent)) == (case.backend == "anthropic")
    assert usage is not None
    assert usage.prompt_tokens == 100
    if case.backend == "anthropic":
        assert usage.model_dump()["prompt_tokens_details"]["cache_write_tokens"] == 90

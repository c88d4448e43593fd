"""Checks 13 to 24: tool calls, whole and in fragments, and the conversations they come back in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import loopback
from tests.checks.case import OPENAI_LIKE, Case, calls, frames, on, streamed, tool

WEATHER = tool("weather", city="string")
NOW = tool("now")
ASK = "What is the weather in Paris?"
PARIS = loopback.ToolCall("weather", '{"city": "Paris"}')
ROME = loopback.ToolCall("weather", '{"city": "Rome"}')


def called(id: str, name: str = "weather", arguments: str = '{"city": "Paris"}', **more: Any) -> dict[str, Any]:
    """An assistant message that calls one tool."""
    call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call], **more}


def result(id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


async def test_13_a_tool_call_ends_with_tool_calls(case: Case) -> None:
    case.upstream.always(loopback.Answer(tool_calls=(PARIS,)))
    answer = await case.ask(ASK, tools=[WEATHER])
    call = (answer.choices[0].message.tool_calls or [])[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.id
    assert call.type == "function"
    assert isinstance(call.function.arguments, str)
    assert calls(answer) == [("weather", {"city": "Paris"})]


@streamed
async def test_14_the_first_tool_has_index_0_and_is_named_once(case: Case) -> None:
    case.upstream.always(loopback.Answer("Let me look.", (PARIS,)))
    deltas = [frame["choices"][0]["delta"] for frame in frames(await case.wire(ASK, tools=[WEATHER]))]
    fragments = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert {fragment["index"] for fragment in fragments} == {0}
    assert fragments[0]["id"]
    assert fragments[0]["type"] == "function"
    assert fragments[0]["function"]["name"] == "weather"
    assert not any(fragment.get("id") or fragment["function"].get("name") for fragment in fragments[1:])
    assert json.loads("".join(fragment["function"]["arguments"] for fragment in fragments)) == {"city": "Paris"}


async def test_15_a_call_without_arguments_is_an_empty_object(case: Case) -> None:
    case.upstream.always(
        loopback.Answer(tool_calls=(loopback.ToolCall("now", "" if case.backend == "anthropic" else "{}"),))
    )
    answer = await case.ask("What time is it?", tools=[NOW])
    call = (answer.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    assert call.function.arguments == "{}"


async def test_16_parallel_calls_are_apart(case: Case) -> None:
    case.upstream.always(loopback.Answer("Two at once.", (PARIS, ROME)))
    answer = await case.ask(ASK, tools=[WEATHER])
    made = answer.choices[0].message.tool_calls or []
    assert calls(answer) == [("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})]
    assert len({call.id for call in made}) == 2


async def test_17_parallel_tool_calls_false_is_said_or_kept(case: Case) -> None:
    """A provider that knows it is told; of one that does not, only the first call is passed on."""
    case.upstream.always(loopback.Answer(tool_calls=(PARIS, ROME)))
    answer = await case.ask(ASK, tools=[WEATHER], parallel_tool_calls=False)
    to_anthropic = {"type": "auto", "disable_parallel_tool_use": True}
    said = case.sent.get("parallel_tool_calls") is False or case.sent.get("tool_choice") == to_anthropic
    assert said or calls(answer) == [("weather", {"city": "Paris"})]


async def test_18_tool_choice_none_calls_nothing(case: Case) -> None:
    answer = await case.ask(ASK, tools=[WEATHER], tool_choice="none")
    assert answer.choices[0].message.content == f"You said: {ASK}"
    assert case.sent.get("tool_choice") in ("none", {"type": "none"}, None)
    assert case.sent.get("tool_choice") or not case.sent.get("tools"), "tools without a choice may be called"


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "now"}}], ids=["any", "named"]
)
async def test_18_a_forced_tool_is_called_or_refused_by_name(case: Case, choice: Any) -> None:
    wanted = "now" if isinstance(choice, dict) else "weather"
    answer = await case.ask_or_refused("tool_choice", ASK, tools=[WEATHER, NOW], tool_choice=choice)
    if answer is not None:
        assert [name for name, _ in calls(answer)] == [wanted]


async def test_19_several_results_are_one_turn(case: Case) -> None:
    asked = [called("a"), called("b")]
    both = {**asked[0], "tool_calls": [*asked[0]["tool_calls"], *asked[1]["tool_calls"]], "reasoning_content": ""}
    parts = [{"type": "text", "text": "18 "}, {"type": "text", "text": "degrees"}]
    messages = [{"role": "user", "content": ASK}, both, result("a", parts), result("b", "")]
    answer = await case.ask([*messages, {"role": "user", "content": "And?"}], tools=[WEATHER])
    assert answer.choices[0].message.content == "You said: And?"
    assert "degrees" in json.dumps(case.sent)


async def test_20_odd_tool_ids_are_accepted(case: Case) -> None:
    odd = "call|fc_68a:1/ünï code=="
    messages = [{"role": "user", "content": ASK}, called(odd, reasoning_content=""), result(odd, "18 degrees")]
    await case.ask(messages, tools=[WEATHER])
    assert not case.upstream.refusals


async def test_21_the_sdks_own_dump_is_accepted(case: Case) -> None:
    case.upstream.script(loopback.Answer("Let me look.", (PARIS,), reasoning="" if case.backend == "openai" else "Hm."))
    first = (await case.ask(ASK, tools=[WEATHER])).choices[0].message
    id = (first.tool_calls or [])[0].id
    messages = [{"role": "user", "content": ASK}, first.model_dump(), result(id, "18 degrees")]
    answer = await case.ask(messages, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "stop"


async def test_22_text_and_a_call_end_with_tool_calls(case: Case) -> None:
    case.upstream.always(loopback.Answer("Let me look.", (PARIS,)))
    answer = await case.ask(ASK, tools=[WEATHER])
    assert answer.choices[0].message.content == "Let me look."
    assert answer.choices[0].finish_reason == "tool_calls"
    assert calls(answer) == [("weather", {"city": "Paris"})]


@on(*OPENAI_LIKE)
@streamed
async def test_24_an_upstream_chunk_without_choices_is_not_forwarded(case: Case) -> None:
    odd = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    data = f"data: {json.dumps({**odd, 'prompt_filter_results': []})}\n\n".encode()
    case.upstream.always(loopback.Insert(data))
    seen = frames(await case.wire())
    assert all(frame["choices"] for frame in seen)
    assert "".join(frame["choices"][0]["delta"].get("content") or "" for frame in seen) == "You said: Hello there"

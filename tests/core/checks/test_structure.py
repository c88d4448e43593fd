from __future__ import annotations

from typing import Any

import pytest

from gateway.core.checks.fences import parted
from gateway.core.checks.structure import json_fault, schema_fault, tool_fault

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORMAT = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}
TOOLS: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]}


def said(content: str | None, *calls: tuple[str, str]) -> dict[str, Any]:
    made = [{"id": "1", "type": "function", "function": {"name": name, "arguments": text}} for name, text in calls]
    return {"message": {"content": content, **({"tool_calls": made} if made else {})}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('{"n": 1}', None),
        ('```json\n{"n": 1}\n```', None),
        ('{"n": "1"}', "JSON that does not follow the schema"),
        ("It is 1.", "no JSON"),
        ("", "no JSON"),
    ],
)
def test_an_answer_is_held_to_its_schema(content: str, fault: str | None) -> None:
    assert schema_fault(FORMAT, said(content)) == fault


def test_json_mode_wants_an_object() -> None:
    body = {"response_format": {"type": "json_object"}}
    assert schema_fault(body, said("{}")) is None
    assert schema_fault(body, said("[1]")) is not None


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "http://x.example/y"}, 3])
def test_a_schema_that_is_none_is_not_the_answers_fault(schema: object) -> None:
    body = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    assert schema_fault(body, said("{}")) is None


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (("f", '{"n": 1}'), None),
        (("f", '{"n": "1"}'), "arguments that do not follow the tool's parameters"),
        (("f", '{"n": '), "arguments that are no JSON"),
        (("f", "[]"), "arguments that do not follow the tool's parameters"),
        (("g", "{}"), "a tool that is not there"),
    ],
)
def test_a_call_is_held_to_its_tool(call: tuple[str, str], fault: str | None) -> None:
    assert tool_fault(TOOLS, said(None, call)) == fault


def test_a_tool_that_must_be_called_is_called() -> None:
    assert tool_fault({**TOOLS, "tool_choice": "required"}, said("No.")) == "no tool called"
    assert tool_fault({**TOOLS, "tool_choice": "auto"}, said("No.")) is None
    assert tool_fault({}, said("No.")) is None


@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        ("who are you? respond only with json", "I am a model.", "no JSON"),
        ("return only valid json", 'Sure! {"a": 1} Anything else?', None),
        ("answer in json", "[1, 2]", None),
        ("answer in json", "```\n{}\n```", None),
        ("answer in json", "{a: 1}", "no JSON"),
        ("which endpoint accepts only json?", "POST /x", None),
        ("what is json?", "A format.", None),
    ],
)
def test_json_that_the_prompt_asks_for_is_there(question: str, answer: str, fault: str | None) -> None:
    assert json_fault(question, answer, parted(answer).blocks) == fault

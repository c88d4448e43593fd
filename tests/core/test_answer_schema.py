"""Whether an answer follows the client's schema, and that a schema can do no harm."""

from __future__ import annotations

import pytest

from gateway.core.answer_schema import AnswerSchema, json_in
from gateway.core.errors import InvalidRequest

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_a_value_that_follows_has_no_fault() -> None:
    assert AnswerSchema(CITY).fault({"city": "Paris"}) is None


def test_a_fault_says_what_and_where() -> None:
    assert AnswerSchema(CITY).fault({"city": 7}) == '7 is not of type "string" (at `city`)'
    assert AnswerSchema(CITY).fault({}) == '"city" is a required property'


def test_definitions_inside_the_schema_are_followed() -> None:
    schema = {"$defs": {"City": CITY}, "type": "array", "items": {"$ref": "#/$defs/City"}}
    assert AnswerSchema(schema).fault([{"city": "Paris"}]) is None
    assert AnswerSchema(schema).fault([{}]) is not None


@pytest.mark.parametrize(
    "schema",
    [{"type": "objekt"}, {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "file:///etc/passwd"}, {"pattern": "("}],
)
def test_what_is_no_schema_or_lies_elsewhere_is_the_clients_mistake(schema: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        AnswerSchema(schema)
    assert caught.value.param == "response_format"
    assert "\n" not in caught.value.message


def test_a_pattern_that_would_backtrack_for_years_is_linear() -> None:
    assert AnswerSchema({"pattern": "^(a+)+$"}).fault("a" * 4_000 + "b") is not None


def test_a_long_fault_is_cut() -> None:
    fault = AnswerSchema({"type": "integer"}).fault("x" * 10_000)
    assert fault is not None
    assert len(fault) < 300


@pytest.mark.parametrize("text", ['{"a": 1}', ' {"a": 1}\n', '```json\n{"a": 1}\n```', '```\n{"a": 1}```'])
def test_json_is_read_with_or_without_a_fence(text: str) -> None:
    assert json_in(text) == {"a": 1}


@pytest.mark.parametrize("text", ["", "Sure! {}", "```", "```json", '{"a": 1'])
def test_anything_else_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        json_in(text)

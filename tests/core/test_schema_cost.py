"""Counting a validator's work instead of doing it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer_schema import MAX_VISITS, AnswerSchema
from gateway.core.errors import InvalidRequest
from gateway.core.schema_cost import TooCostly, visits

LEAF = {"type": "string"}


def doubling(levels: int, step: str) -> dict[str, Any]:
    """Each definition leads twice to the next, with or without a step into the value."""

    def twice(level: int) -> dict[str, Any]:
        once: dict[str, Any] = {"$ref": f"#/$defs/d{level + 1}"}
        inner = once if step == "in place" else {"items": once}
        return {"anyOf": [inner, inner]}

    definitions = {f"d{level}": twice(level) for level in range(levels)}
    return {"$defs": {**definitions, f"d{levels}": LEAF}, "$ref": "#/$defs/d0"}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_flat_schema_is_visited_once_for_each_part_of_the_value() -> None:
    schema = {"type": "object", "properties": {"a": LEAF, "b": {"type": "array", "items": LEAF}}}
    assert visits(schema, {"a": "x", "b": ["y", "z"]}) == 1 + 1 + 1 + 2
    assert visits(schema, {}) == 1


@pytest.mark.parametrize(("step", "value"), [("in place", 1), ("inward", nested(40))])
def test_ways_multiply_though_the_schema_is_short(step: str, value: Any) -> None:
    assert visits(doubling(40, step), value) > 2**40


@pytest.mark.parametrize(("step", "value"), [("in place", 1), ("inward", nested(40))])
def test_what_would_take_years_is_refused_at_once(step: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        AnswerSchema(doubling(40, step)).fault(value)
    assert (caught.value.param, "too costly" in caught.value.message) == ("response_format", True)


def test_patterns_are_counted_by_the_characters_they_read() -> None:
    assert visits({"pattern": "^a+$"}, "a" * 100) == 1 + 100
    assert visits({"pattern": "^a{1,9}$"}, "a" * 100) == 1 + 25 * 100
    assert visits({"pattern": "^a+$"}, 7) == 1
    assert visits({"patternProperties": {"^a": True}}, {"abc": 1}) == 1 + 3 + 1
    with pytest.raises(InvalidRequest):
        AnswerSchema({"pattern": "((a{9}){9}){9}"}).fault("a" * 100_000)


def test_a_recursive_schema_doubles_with_the_depth_of_the_value() -> None:
    again = {"items": {"$ref": "#"}}
    schema = {"anyOf": [again, again, LEAF]}
    assert visits(schema, nested(5)) < MAX_VISITS < visits(schema, nested(40))


def test_an_ordinary_recursive_schema_is_cheap() -> None:
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}
    value: dict[str, Any] = {"children": []}
    for _ in range(50):
        value = {"children": [value]}
    assert visits(tree, value) < 300
    assert AnswerSchema(tree).fault(value) is None


def test_a_reference_that_leads_back_ends() -> None:
    assert visits({"$ref": "#"}, 1) == 2
    assert AnswerSchema({"$ref": "#"}).fault(1) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#name"},
        {"$ref": "#/$defs/absent"},
        {"$dynamicRef": "#x"},
        {"properties": {"a": {"$id": "https://example.org/a", "$ref": "#/$defs/x"}}},
    ],
)
def test_a_reference_that_cannot_be_followed_here_is_not_guessed(schema: dict[str, Any]) -> None:
    with pytest.raises(TooCostly):
        visits(schema, {"a": 1})


def test_a_schema_or_a_value_too_deep_to_count_is_refused() -> None:
    deep: dict[str, Any] = LEAF
    for _ in range(600):
        deep = {"items": deep}
    with pytest.raises(TooCostly):
        visits(deep, nested(600))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "object"}, {}, True, {"$ref": "#"}]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2)}),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"additionalProperties": inner}),
    ),
    max_leaves=8,
)


@given(SCHEMAS.filter(lambda schema: isinstance(schema, dict)), JSON)
def test_any_schema_and_any_value_are_judged_or_refused(schema: dict[str, Any], value: Any) -> None:
    try:
        fault = AnswerSchema(schema).fault(value)
    except InvalidRequest:
        return
    assert fault is None or fault

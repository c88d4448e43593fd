"""Schemas for models that take fewer of them."""

from __future__ import annotations

from typing import Any

from gateway.dialects.json_schema import closed_schema, schema_of


def test_every_object_is_closed_however_deep() -> None:
    leaf: dict[str, Any] = {"type": "object", "properties": {}}
    schema = {
        "type": "object",
        "properties": {"list": {"type": "array", "items": leaf}, "either": {"anyOf": [leaf, {"type": "null"}]}},
        "$defs": {"Leaf": leaf},
    }
    closed = {**leaf, "additionalProperties": False}
    assert closed_schema(schema) == {
        "type": "object",
        "properties": {"list": {"type": "array", "items": closed}, "either": {"anyOf": [closed, {"type": "null"}]}},
        "$defs": {"Leaf": closed},
        "additionalProperties": False,
    }


def test_limits_move_into_the_description() -> None:
    schema = {"type": "string", "description": "A name.", "minLength": 1, "maxLength": 9}
    assert closed_schema(schema) == {"type": "string", "description": "A name. (minLength: 1, maxLength: 9)"}


def test_a_property_that_is_called_like_a_keyword_stays_a_property() -> None:
    schema = {"type": "object", "properties": {"minimum": {"type": "integer"}, "items": {"type": "string"}}}
    assert closed_schema(schema)["properties"] == schema["properties"]


def test_enums_and_defaults_that_look_like_schemas_are_left_alone() -> None:
    schema = {"enum": [{"minimum": 1}], "default": {"minimum": 1}}
    assert closed_schema(schema) == schema


def test_only_a_json_schema_format_has_a_schema() -> None:
    assert schema_of({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}) == {
        "type": "object"
    }
    assert schema_of({"type": "json_schema"}) == {}
    assert schema_of({"type": "json_object"}) is None
    assert schema_of(None) is None

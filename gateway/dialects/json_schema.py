"""Structured output where it is not native: a schema as an instruction, and a schema in the dialect of Anthropic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

# Refused in Anthropic's `output_config.format` (structured outputs documentation, 2026-11): moved into descriptions.
_UNSUPPORTED = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
)
_NAMED_SCHEMAS = ("properties", "$defs", "definitions")
_SCHEMA_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")

JSON_INSTRUCTION = "Answer with one valid JSON object and nothing else: no prose, no code fence."


def schema_of(response_format: object) -> dict[str, Any] | None:
    """The JSON schema a client asks its answer to follow, or None when it asks for none."""
    if not isinstance(response_format, Mapping) or response_format.get("type") != "json_schema":
        return None
    wrapper = response_format.get("json_schema")
    schema = wrapper.get("schema") if isinstance(wrapper, Mapping) else None
    return schema if isinstance(schema, dict) else {}


def schema_instruction(schema: Mapping[str, Any]) -> str:
    """What to tell a model that cannot be held to a schema. Says the word "json", which json_object modes require."""
    return f"{JSON_INSTRUCTION} The object must follow this JSON schema:\n{orjson.dumps(schema).decode()}"


def closed_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with every object closed, and the limits Anthropic refuses said in the description instead."""
    limits = [f"{key}: {orjson.dumps(schema[key]).decode()}" for key in _UNSUPPORTED if key in schema]
    closed = {key: _closed(key, value) for key, value in schema.items() if key not in _UNSUPPORTED}
    if limits:
        closed["description"] = " ".join([*filter(None, [closed.get("description")]), f"({', '.join(limits)})"])
    if closed.get("type") == "object" or "properties" in closed:
        closed["additionalProperties"] = False
    return closed


def _closed(key: str, value: Any) -> Any:
    if key in _NAMED_SCHEMAS and isinstance(value, dict):
        return {name: closed_schema(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}
    if key in _SCHEMA_LISTS and isinstance(value, list):
        return [closed_schema(inner) if isinstance(inner, dict) else inner for inner in value]
    return closed_schema(value) if key == "items" and isinstance(value, dict) else value

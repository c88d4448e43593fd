"""How much work it is to check a value against a JSON schema, found out before the work is done.

A validator visits a subschema once for every way that leads to it, and a schema of a few lines can have more ways than
a year has seconds: 22 definitions, each an `anyOf` of twice the next, kept jsonschema-rs 0.60 busy for over a minute
(2026-11-23). Nothing can stop a validator once it runs. So the visits are counted first, by adding up instead of
walking: each pair of a subschema and a value is looked at once, however many ways lead to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SAME_VALUE = ("not", "if", "then", "else")
_SAME_VALUE_LISTS = ("allOf", "anyOf", "oneOf")
_EVERY_VALUE = ("additionalProperties", "unevaluatedProperties")
_EVERY_ITEM = ("items", "contains", "additionalItems", "unevaluatedItems")
_ELSEWHERE = ("$dynamicRef", "$recursiveRef")
# A visit takes about 1 µs. A pattern with counted repetitions may hold thousands of states and takes up to 125 µs for
# each character (seen with a 1 MB pattern); any other is small.
_COUNTED_VISITS_PER_CHAR = 25
_MAX_PAIRS = 100_000
_MAX_DEPTH = 400


class TooCostly(Exception):
    """More than can be counted, or references that cannot be followed here."""


def visits(schema: Any, value: Any) -> int:
    """How often a validator visits a subschema, at most. Raises TooCostly."""
    return _Count(schema).of(schema, value, 0)


class _Count:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[tuple[int, int], int] = {}

    def of(self, schema: Any, value: Any, depth: int) -> int:
        if not isinstance(schema, dict):
            return 1
        pair = id(schema), id(value)
        if pair not in self._known:
            if depth > _MAX_DEPTH or len(self._known) > _MAX_PAIRS:
                raise TooCostly
            self._known[pair] = 1  # a reference that leads back here without a step into the value ends here
            inward = sum(self.of(inner, part, depth + 1) for inner, part in self._steps(schema, value))
            self._known[pair] = 1 + _pattern_visits(schema, value) + inward
        return self._known[pair]

    def _steps(self, schema: dict[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
        yield from ((schema[key], value) for key in _SAME_VALUE if key in schema)
        yield from ((inner, value) for key in _SAME_VALUE_LISTS for inner in _list(schema.get(key)))
        yield from ((inner, value) for inner in _mapping(schema.get("dependentSchemas")).values())
        if "$ref" in schema:
            yield self._referred(schema["$ref"]), value
        if any(key in schema for key in _ELSEWHERE) or ("$id" in schema and schema is not self._root):
            raise TooCostly
        if isinstance(value, dict):
            yield from _into_object(schema, value)
        elif isinstance(value, list):
            yield from _into_array(schema, value)

    def _referred(self, reference: Any) -> Any:
        """Only what lies in this schema: `#` and `#/a/b`."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise TooCostly
        place = self._root
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, list) and key.isdigit() and int(key) < len(place):
                place = place[int(key)]
            elif isinstance(place, dict) and key in place:
                place = place[key]
            else:
                raise TooCostly
        return place


def _pattern_visits(schema: dict[str, Any], value: Any) -> int:
    if isinstance(value, str) and "pattern" in schema:
        return _visits_per_char(schema["pattern"]) * len(value)
    if isinstance(value, dict) and (patterns := _mapping(schema.get("patternProperties"))):
        return sum(map(_visits_per_char, patterns)) * sum(map(len, value))
    return 0


def _visits_per_char(pattern: object) -> int:
    return _COUNTED_VISITS_PER_CHAR if isinstance(pattern, str) and "{" in pattern else 1


def _into_object(schema: dict[str, Any], value: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    named = _mapping(schema.get("properties"))
    yield from ((named[name], part) for name, part in value.items() if name in named)
    every = [schema[key] for key in _EVERY_VALUE if key in schema]
    every += _mapping(schema.get("patternProperties")).values()
    yield from ((inner, part) for inner in every for part in value.values())
    if "propertyNames" in schema:
        yield from ((schema["propertyNames"], name) for name in value)


def _into_array(schema: dict[str, Any], value: list[Any]) -> Iterator[tuple[Any, Any]]:
    yield from zip(_list(schema.get("prefixItems")), value, strict=False)
    yield from zip(_list(schema.get("items")), value, strict=False)  # until draft 2019-09
    yield from ((schema[key], part) for key in _EVERY_ITEM if key in schema for part in value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

"""The smallest honest instance of a JSON schema, so that structured outputs and forced tools have an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sample(schema: Mapping[str, Any], text: str) -> Any:
    """An instance of `schema` with `text` for every free string. Knows the subset that strict mode allows."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], text)
    return _of_type(schema, text)


def _of_type(schema: Mapping[str, Any], text: str) -> Any:
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "string":
            return text
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "array":
            return [sample(schema.get("items", {"type": "string"}), text)]
        case "null":
            return None
    return {name: sample(part, text) for name, part in schema.get("properties", {}).items()}

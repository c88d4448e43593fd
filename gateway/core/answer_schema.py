"""A client's JSON schema, and whether an answer follows it.

The schema comes from a stranger: no `$ref` is fetched, and patterns are matched by an engine that is linear in the text
(jsonschema-rs, Rust; the pure-Python validators either run generated code or match patterns by backtracking).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from gateway.core.errors import InvalidRequest

_MAX_FAULT_CHARS = 200


class AnswerSchema:
    """Compiled once, asked once or a few times."""

    def __init__(self, schema: Mapping[str, Any], param: str = "response_format") -> None:
        """Raises InvalidRequest naming `param` for what is no schema."""
        try:
            self._validator = jsonschema_rs.validator_for(
                dict(schema), pattern_options=jsonschema_rs.RegexOptions(), offline=True
            )
        except ValueError as error:
            fault = str(error).partition("\n")[0][:_MAX_FAULT_CHARS]
            raise InvalidRequest(f"`{param}` holds no valid JSON schema: {fault}", param=param) from error

    def fault(self, value: object) -> str | None:
        """What is wrong with a JSON value, as the end of a sentence, or None. Quotes no more than a few words of it."""
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return None
        place = "/".join(str(step) for step in error.instance_path)
        return f"{error.message[:_MAX_FAULT_CHARS]}" + (f" (at `{place}`)" if place else "")


def json_in(text: str) -> Any:
    """The JSON value a model wrote, with or without a code fence around it. Raises ValueError."""
    return orjson.loads(unfenced(text))


def unfenced(text: str) -> str:
    """The text without the code fence that models like to put around JSON."""
    stripped = text.strip()
    if not (stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped):
        return stripped
    return stripped[stripped.index("\n") + 1 : -3].strip()

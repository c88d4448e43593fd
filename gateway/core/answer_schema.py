"""A client's JSON schema, and whether an answer follows it.

The schema comes from a stranger: no `$ref` is fetched, patterns are matched by an engine that is linear in the text
(jsonschema-rs, Rust; the pure-Python validators either run generated code or match patterns by backtracking), and what
would take too long is refused before it is begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from gateway.core.errors import InvalidRequest
from gateway.core.schema_cost import TooCostly, visits

MAX_VISITS = 50_000
"""Some 50 ms of work, and a thousand times what the schemas of real clients take."""
_MAX_FAULT_CHARS = 200
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


class AnswerSchema:
    """Compiled once, asked once or a few times."""

    def __init__(self, schema: Mapping[str, Any], param: str = "response_format") -> None:
        """Raises InvalidRequest naming `param` for what is no schema."""
        self._schema = dict(schema)
        self._param = param
        try:
            self._validator = jsonschema_rs.validator_for(self._schema, pattern_options=_PATTERNS, offline=True)
        except ValueError as error:
            fault = str(error).partition("\n")[0][:_MAX_FAULT_CHARS]
            raise InvalidRequest(f"`{param}` holds no valid JSON schema: {fault}", param=param) from error

    def fault(self, value: object) -> str | None:
        """What is wrong with a JSON value, as the end of a sentence, or None. Quotes no more than a few words of it.

        Raises InvalidRequest when to find that out would take too long.
        """
        if not self._is_affordable(value):
            raise InvalidRequest(f"`{self._param}` holds a JSON schema that is too costly to check.", param=self._param)
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return None
        place = "/".join(str(step) for step in error.instance_path)
        return f"{error.message[:_MAX_FAULT_CHARS]}" + (f" (at `{place}`)" if place else "")

    def _is_affordable(self, value: object) -> bool:
        try:
            return visits(self._schema, value) <= MAX_VISITS
        except TooCostly:
            return False


def json_in(text: str) -> Any:
    """The JSON value a model wrote, with or without a code fence around it. Raises ValueError."""
    return orjson.loads(unfenced(text))


def unfenced(text: str) -> str:
    """The text without the code fence that models like to put around JSON."""
    stripped = text.strip()
    if not (stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped):
        return stripped
    return stripped[stripped.index("\n") + 1 : -3].strip()

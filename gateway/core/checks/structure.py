"""What a program will read: an answer held to a JSON schema, JSON that was asked for, arguments of tool calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.core.answer_schema import AnswerSchema, json_in
from gateway.core.checks.fences import Block
from gateway.core.errors import InvalidRequest
from gateway.core.tool_choice import is_forced

_ONLY_JSON = re.compile(
    r"\b(?:only|just|nothing but) (?:with )?(?:a |an |the |one )?(?:single )?(?:valid |raw )?json\b|"
    r"\bjson (?:object )?only\b|"
    r"\b(?:respond|answer|reply) (?:only )?(?:with|in|as) (?:a |an )?(?:valid )?json\b"
)
_TO_OTHERS = re.compile(r"\b(?:api|endpoint|server|function|script|code|program|accepts?)\b")


def schema_fault(body: Mapping[str, Any], choice: Mapping[str, Any]) -> str | None:
    """Of `response_format`. A schema that is none, or too costly to check, is not this check's matter."""
    wanted = body.get("response_format")
    if not isinstance(wanted, Mapping) or choice["message"].get("tool_calls"):
        return None
    kind = wanted.get("type")
    if kind not in ("json_schema", "json_object"):
        return None
    try:
        value = json_in(choice["message"].get("content") or "")
    except ValueError:
        return "no JSON"
    named = wanted.get("json_schema")
    schema = named.get("schema") if kind == "json_schema" and isinstance(named, Mapping) else {"type": "object"}
    return "JSON that does not follow the schema" if _breaks(schema, value) else None


def json_fault(question: str, answer: str, blocks: Sequence[Block] = ()) -> str | None:
    """JSON that the prompt alone asks for. `question` in lower case, with single spaces."""
    if not _ONLY_JSON.search(question) or _TO_OTHERS.search(question):
        return None
    texts = [answer, *(block.text for block in blocks), *_between_brackets(answer)]
    return None if any(_is_json(text) for text in texts) else "no JSON"


def tool_fault(body: Mapping[str, Any], choice: Mapping[str, Any]) -> str | None:
    """Each call names a tool there is, with arguments that follow its parameters; a call that must be made is made."""
    calls = choice["message"].get("tool_calls") or []
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools:
        return None
    if not calls:
        return "no tool called" if is_forced(body.get("tool_choice")) else None
    parameters = dict(_functions(tools))
    faults = (_call_fault(call.get("function"), parameters) for call in calls if call.get("type") == "function")
    return next(filter(None, faults), None)


def _functions(tools: list[Any]) -> list[tuple[str, Any]]:
    functions = [
        tool["function"] for tool in tools if isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping)
    ]
    return [(str(function.get("name")), function.get("parameters")) for function in functions]


def _call_fault(function: object, parameters: Mapping[str, Any]) -> str | None:
    if not isinstance(function, Mapping) or str(function.get("name")) not in parameters:
        return "a tool that is not there"
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except ValueError:
        return "arguments that are no JSON"
    wanted = parameters[str(function["name"])]
    if not isinstance(arguments, dict) or _breaks(wanted, arguments):
        return "arguments that do not follow the tool's parameters"
    return None


def _breaks(schema: object, value: object) -> bool:
    if not isinstance(schema, Mapping):
        return False
    try:
        return AnswerSchema(schema).fault(value) is not None
    except InvalidRequest:
        return False


def _between_brackets(answer: str) -> list[str]:
    """From the first opening to the last closing bracket: models like to say something before JSON, and after."""
    return [
        answer[answer.index(opening) : answer.rindex(closing) + 1]
        for opening, closing in ("{}", "[]")
        if opening in answer and closing in answer
    ]


def _is_json(text: str) -> bool:
    try:
        return isinstance(json_in(text), dict | list)
    except ValueError:
        return False

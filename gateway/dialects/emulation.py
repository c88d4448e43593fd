"""What a provider cannot do and the gateway does for it, on the whole answer before the client hears any of it.

Each function here returns a `Mend`. An answer that was cut off or refused is left as it is, as OpenAI leaves it: its
`finish_reason` says so. An answer that is whole and wrong raises UpstreamSchemaMismatch, which is worth another try.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from gateway.core.answer_schema import AnswerSchema, json_in, unfenced
from gateway.core.chunks import Completion, Mend
from gateway.core.errors import InvalidRequest, UnsupportedParameter, UpstreamSchemaMismatch
from gateway.dialects.request_shape import mapping, objects

ANSWER_TOOL = "give_answer"
"""The tool that stands for a JSON schema; no client ever sees it."""

_Choice = dict[str, Any]


def following(schema: Mapping[str, Any]) -> Mend:
    """Holds every choice's content to `schema`. Raises InvalidRequest for what is no schema."""
    compiled = AnswerSchema(schema)

    def hold(choice: _Choice, _: str) -> _Choice:
        message = choice["message"]
        if choice.get("finish_reason") != "stop" or message.get("refusal"):
            return choice
        text = unfenced(message.get("content") or "")
        _check(compiled, text, "The model's answer")
        return {**choice, "message": {**message, "content": text}}

    return _each_choice(hold)


def unwrapped(schema: Mapping[str, Any]) -> Mend:
    """Turns a call of ANSWER_TOOL into the content it carries, then holds that to `schema`."""
    follow = following(schema)

    def unwrap(choice: _Choice, _: str) -> _Choice:
        message = dict(choice["message"])
        calls = message.pop("tool_calls", None)
        if not calls:
            return choice
        finish = "stop" if choice.get("finish_reason") == "tool_calls" else choice.get("finish_reason")
        return {**choice, "message": {**message, "content": calls[0]["function"]["arguments"]}, "finish_reason": finish}

    return chained(_each_choice(unwrap), follow)


def calling(functions: Iterable[Mapping[str, Any]]) -> Mend:
    """Turns an answer `{"name": ..., "arguments": {...}}` into the tool call it means."""
    schemas = {function.get("name"): AnswerSchema(_parameters(function), "tools") for function in functions}

    def call(choice: _Choice, answer_id: str) -> _Choice:
        message = {**choice["message"], "content": None}
        if choice.get("finish_reason") != "stop":
            return {**choice, "message": message}
        name, arguments = _read_call(choice["message"].get("content") or "", schemas)
        function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
        call_id = "call_" + hashlib.sha256(f"{answer_id}:{choice.get('index')}".encode()).hexdigest()[:24]
        message["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
        return {**choice, "message": message, "finish_reason": "tool_calls"}

    return _each_choice(call)


def first_call_only(completion: Completion) -> Completion:
    """`parallel_tool_calls: false` at a provider that does not read it."""

    def keep(choice: _Choice, _: str) -> _Choice:
        message = choice["message"]
        calls = message.get("tool_calls") or []
        return {**choice, "message": {**message, "tool_calls": calls[:1]}} if len(calls) > 1 else choice

    return _each_choice(keep)(completion)


def chained(*mends: Mend) -> Mend:
    """One after the other."""

    def all_of_them(completion: Completion) -> Completion:
        for mend in mends:
            completion = mend(completion)
        return completion

    return all_of_them


def forced_functions(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The functions of which one must be called: all, the named one, or those of `allowed_tools`.

    Raises InvalidRequest when there is none such, UnsupportedParameter for tools that are no functions.
    """
    functions = []
    for place, tool in enumerate(objects(body.get("tools"), "tools")):
        if tool.get("type", "function") != "function":
            raise UnsupportedParameter("This model can only be made to call functions.", param=f"tools[{place}].type")
        functions.append(mapping(tool.get("function"), f"tools[{place}].function"))
    names = _chosen_names(body.get("tool_choice"))
    chosen = [function for function in functions if names is None or function.get("name") in names]
    if not chosen:
        raise InvalidRequest("`tool_choice` names no tool of `tools`.", param="tool_choice")
    return chosen


def call_schema(functions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The schema of `{"name": ..., "arguments": {...}}` for any of the functions."""
    definitions: dict[str, Any] = {}
    calls = []
    for function in functions:
        parameters = dict(_parameters(function))
        for place in ("$defs", "definitions"):  # referred to from the root, so they move there
            if isinstance(parameters.get(place), dict):
                definitions[place] = {**definitions.get(place, {}), **parameters.pop(place)}
        properties = {"name": {"const": function.get("name")}, "arguments": parameters}
        call = {"type": "object", "properties": properties, "required": ["name", "arguments"]}
        calls.append({**call, "additionalProperties": False})
    return {**(calls[0] if len(calls) == 1 else {"anyOf": calls}), **definitions}


def call_instruction(functions: Iterable[Mapping[str, Any]]) -> str:
    """What a model must be told besides being held to `call_schema`."""
    listed = orjson.dumps(list(functions)).decode()
    return (
        'Call one of these functions. Answer with one JSON object and nothing else: {"name": the function\'s name, '
        f'"arguments": its arguments}}. The functions:\n{listed}'
    )


def _chosen_names(choice: object) -> list[Any] | None:
    """None: any."""
    if not isinstance(choice, Mapping):
        return None
    if choice.get("type") == "allowed_tools":
        allowed = mapping(choice.get("allowed_tools"), "tool_choice.allowed_tools")
        place = "tool_choice.allowed_tools.tools"
        return [mapping(entry.get("function"), place).get("name") for entry in objects(allowed.get("tools"), place)]
    return [mapping(choice.get("function"), "tool_choice.function").get("name")]


def _parameters(function: Mapping[str, Any]) -> dict[str, Any]:
    return mapping(function.get("parameters"), "tools") or {"type": "object"}


def _read_call(text: str, schemas: Mapping[Any, AnswerSchema]) -> tuple[str, dict[str, Any]]:
    try:
        match json_in(text):
            case {"name": str(name), "arguments": dict(arguments)} if name in schemas:
                fault = schemas[name].fault(arguments)
            case _:
                raise _mismatch("The model called no tool, though it had to.")
    except ValueError as error:
        raise _mismatch("The model called no tool, though it had to.") from error
    if fault:
        raise _mismatch(f"The model's arguments for `{name}` do not match the tool's schema: {fault}")
    return name, arguments


def _check(schema: AnswerSchema, text: str, subject: str) -> None:
    try:
        fault = schema.fault(json_in(text))
    except ValueError as error:
        raise _mismatch(f"{subject} did not match the JSON schema of the request: it is not JSON.") from error
    if fault:
        raise _mismatch(f"{subject} did not match the JSON schema of the request: {fault}")


def _mismatch(message: str) -> UpstreamSchemaMismatch:
    return UpstreamSchemaMismatch(message, reached=True)


def _each_choice(change: Callable[[_Choice, str], _Choice]) -> Mend:
    """`change` gets a choice and the answer's id."""

    def mend(completion: Completion) -> Completion:
        answer_id = str(completion.get("id"))
        return {**completion, "choices": [change(choice, answer_id) for choice in completion["choices"]]}

    return mend

"""A Responses request as an OpenAI chat request. Stateless: what the API would remember, the client must send again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.dialects.request_shape import mapping, objects
from gateway.dialects.served.responses_input import to_messages

# Read here, or answered by the rendering (`store` is echoed false). Every other field goes on to the provider.
_READ = frozenset(
    {"include", "input", "instructions", "max_output_tokens", "parallel_tool_calls", "reasoning", "store"}
    | {"stream_options", "text", "tool_choice", "tools", "top_logprobs"}
)
_STATELESS = "no response is stored here. Send the whole conversation as `input`."
# Field → the value besides null that asks for nothing, and why anything else is refused.
_REFUSED: Mapping[str, tuple[Any, str]] = {
    "previous_response_id": (None, _STATELESS),
    "conversation": (None, _STATELESS),
    "prompt": (None, "no prompt is stored here. Send `instructions` and `input`."),
    "background": (False, "an answer is given while you wait."),
    "context_management": ([], "a conversation is not compacted here."),
    "moderation": (None, "nothing is moderated here."),
}
# What only bounds OpenAI's own work: an answer that is given is the same without.
_HINTS: Mapping[str, Any] = {"truncation": "disabled", "max_tool_calls": None}
_LOGPROBS = "message.output_text.logprobs"


def to_chat(body: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chat body and the names of dropped hints. Raises InvalidRequest."""
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object with `model` and `input`.")
    _refuse(body)
    known = _READ | _REFUSED.keys() | _HINTS.keys()
    chat = {field: value for field, value in body.items() if field not in known}
    chat["messages"] = [*_instructions(body), *to_messages(body.get("input"))]
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    chat |= _tools(body) | _text(body) | _reasoning(body) | _logprobs(body)
    return chat, tuple(_dropped(body))


def _refuse(body: Mapping[str, Any]) -> None:
    for field, (neutral, why) in _REFUSED.items():
        if body.get(field) not in (None, neutral):
            raise UnsupportedParameter(f"`{field}` is not supported: {why}", param=field)


def _instructions(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    instructions = body.get("instructions")
    if not isinstance(instructions, str | None):
        raise InvalidRequest("`instructions` must be a string.", param="instructions")
    return [{"role": "system", "content": instructions}] if instructions else []


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(objects(body.get("tools"), "tools"))]
    if not tools:
        return {}
    mapped: dict[str, Any] = {"tools": tools}
    if body.get("tool_choice") is not None:
        mapped["tool_choice"] = _tool_choice(body["tool_choice"])
    if body.get("parallel_tool_calls") is not None:
        mapped["parallel_tool_calls"] = body["parallel_tool_calls"]
    return mapped


def _tool(tool: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Flat there, nested here."""
    if tool.get("type") != "function":
        words = f"`{place}` is a `{tool.get('type')}` tool; only function tools are served here."
        raise UnsupportedParameter(words, param=f"{place}.type")
    if not isinstance(tool.get("name"), str):
        raise InvalidRequest(f"`{place}.name` must be a string.", param=f"{place}.name")
    fields = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {field: tool[field] for field in fields if tool.get(field) is not None}}


def _tool_choice(choice: object) -> str | dict[str, Any]:
    match choice:
        case str():
            return choice
        case {"type": "function", "name": name}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools"}:
            given = mapping(choice, "tool_choice")
            allowed = [
                {"type": "function", "function": {"name": tool.get("name")}}
                for tool in objects(given.get("tools"), "tool_choice.tools")
            ]
            mode = given.get("mode", "auto")
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
    raise UnsupportedParameter("`tool_choice` must be a mode, or name a function tool.", param="tool_choice")


def _text(body: Mapping[str, Any]) -> dict[str, Any]:
    asked = mapping(body.get("text"), "text")
    wanted = mapping(asked.get("format"), "text.format")
    mapped = {"verbosity": asked["verbosity"]} if asked.get("verbosity") is not None else {}
    match wanted.get("type", "text"):
        case "text":
            return mapped
        case "json_object":
            return {**mapped, "response_format": {"type": "json_object"}}
        case "json_schema":
            mapping(wanted.get("schema"), "text.format.schema")
            named = {key: value for key, value in wanted.items() if key != "type" and value is not None}
            return {**mapped, "response_format": {"type": "json_schema", "json_schema": named}}
    raise InvalidRequest("`text.format.type` must be text, json_object or json_schema.", param="text.format.type")


def _reasoning(body: Mapping[str, Any]) -> dict[str, Any]:
    effort = mapping(body.get("reasoning"), "reasoning").get("effort")
    return {} if effort is None else {"reasoning_effort": effort}


def _logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Asked for by `include` or by a number of alternatives; chat completions want both said."""
    top = body.get("top_logprobs")
    if not top and _LOGPROBS not in _included(body):
        return {}
    return {"logprobs": True, **({"top_logprobs": top} if top else {})}


def _dropped(body: Mapping[str, Any]) -> list[str]:
    dropped = [field for field, neutral in _HINTS.items() if body.get(field) not in (None, neutral)]
    if mapping(body.get("reasoning"), "reasoning").get("summary") is not None:
        dropped.append("reasoning.summary")
    if any(name != _LOGPROBS for name in _included(body)):
        dropped.append("include")
    return dropped


def _included(body: Mapping[str, Any]) -> list[Any]:
    include = body.get("include")
    if not isinstance(include, list | None):
        raise InvalidRequest("`include` must be a list.", param="include")
    return include or []

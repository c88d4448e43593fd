"""An Anthropic Messages request as an OpenAI chat request.

Both API versions are read. 2023-06-01 takes sampling parameters; 2026-10-21 refuses them even at their defaults, with
the words "Extra inputs are not permitted" (API version notes, read 2026-11). Fields that nobody here knows are refused
in the same words, as Anthropic does; hints that nothing here can take are dropped and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.dialects.request_shape import mapping, objects, strings
from gateway.dialects.served.messages_history import REFUSED_SINCE_2026, refused, to_messages

VERSIONS = ("2023-06-01", "2026-10-21")

_SAMPLING = ("temperature", "top_p", "top_k")
_AS_THEY_ARE = ("stream", *_SAMPLING, "cache_control", "container", "inference_geo", "speed")
_MAPPED = frozenset(
    {"max_tokens", "messages", "metadata", "model", "output_config", "stop_sequences", "system", "thinking"}
    | {"tool_choice", "tools", "thriftgate", *_AS_THEY_ARE}
)
# How Anthropic itself accounts for a request, or tidies its context there: none changes what was asked.
_HINTS = frozenset({"context_management", "diagnostics", "service_tier", "user_profile_id", "workspace_id"})
_CHOICES: Mapping[str, str] = {"auto": "auto", "any": "required", "none": "none"}
# The counterpart of `anthropic_options._BUDGET_TOKENS`: the effort that a thinking budget amounts to.
_EFFORT_UP_TO_TOKENS = ((2_048, "low"), (8_192, "medium"))


def version_of(headers: Mapping[str, str]) -> str:
    """Raises InvalidRequest, as Anthropic does, for a request that does not say its version or says one unknown."""
    version = headers.get("anthropic-version")
    if version is None:
        raise InvalidRequest("anthropic-version: header is required", param="anthropic-version")
    if version not in VERSIONS:
        words = f'anthropic-version: "{version}" is not a valid version; send {" or ".join(VERSIONS)}'
        raise InvalidRequest(words, param="anthropic-version")
    return version


def to_chat(body: object, version: str, *, limited: bool = True) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chat body and the names of dropped hints. `limited`: `max_tokens` is required. Raises InvalidRequest."""
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object with `model`, `max_tokens` and `messages`.")
    strict = version != VERSIONS[0]
    _check_fields(body, strict, ("model", "max_tokens", "messages") if limited else ("model", "messages"))
    chat = {field: body[field] for field in ("model", "max_tokens", *_AS_THEY_ARE) if body.get(field) is not None}
    chat["messages"] = to_messages(body.get("system"), body["messages"], strict=strict)
    if stop := strings(body.get("stop_sequences"), "stop_sequences"):
        chat["stop"] = stop
    chat |= _tools(body) | _effort(body) | _format(body) | _user(body)
    return chat, tuple(field for field in body if field in _HINTS and body[field] is not None)


def thinks(body: object) -> bool:
    """Whether the client asked to be shown thinking."""
    thinking = body.get("thinking") if isinstance(body, dict) else None
    return isinstance(thinking, dict) and thinking.get("type") != "disabled"


def _check_fields(body: Mapping[str, Any], strict: bool, required: tuple[str, ...]) -> None:
    for field in body:
        if (field not in _MAPPED and field not in _HINTS) or (strict and field in _SAMPLING):
            raise refused(field, REFUSED_SINCE_2026)
    for field in required:
        if body.get(field) is None:
            raise refused(field, "Field required")


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool, f"tools.{at}") for at, tool in enumerate(objects(body.get("tools"), "tools"))]
    choice = mapping(body.get("tool_choice"), "tool_choice")
    if not tools:
        if choice and choice.get("type") != "none":
            raise refused("tool_choice", "tool_choice may only be specified while providing tools.")
        return {}
    mapped: dict[str, Any] = {"tools": tools}
    if choice:
        mapped["tool_choice"] = _tool_choice(choice)
    if choice.get("disable_parallel_tool_use"):
        mapped["parallel_tool_calls"] = False
    return mapped


def _tool(tool: Mapping[str, Any], place: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):  # a tool that Anthropic runs, or whose schema only Claude knows
        raise refused(f"{place}.type", f"`{tool['type']}` tools are not available here; define a custom tool")
    if not isinstance(tool.get("name"), str):
        raise refused(f"{place}.name", "Input should be a valid string")
    function = {"name": tool["name"], "parameters": mapping(tool.get("input_schema"), f"{place}.input_schema")}
    function |= {field: tool[field] for field in ("description", "strict") if tool.get(field) is not None}
    mapped: dict[str, Any] = {"type": "function", "function": function}
    if tool.get("cache_control") is not None:
        mapped["cache_control"] = tool["cache_control"]
    return mapped


def _tool_choice(choice: Mapping[str, Any]) -> str | dict[str, Any]:
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise refused("tool_choice.type", "expected 'auto', 'any', 'none' or 'tool'")
    return _CHOICES[kind]


def _effort(body: Mapping[str, Any]) -> dict[str, Any]:
    """Thinking as an effort. `output_config.effort` is the finer word; without it adaptive thinking means `high`."""
    thinking = mapping(body.get("thinking"), "thinking")
    asked = mapping(body.get("output_config"), "output_config").get("effort")
    if thinking.get("type") == "disabled":
        return {"reasoning_effort": "none"}
    if asked is None and not thinking:
        return {}
    return {"reasoning_effort": asked or _effort_of(thinking.get("budget_tokens"))}


def _effort_of(budget_tokens: object) -> str:
    if isinstance(budget_tokens, int):
        for limit, effort in _EFFORT_UP_TO_TOKENS:
            if budget_tokens <= limit:
                return effort
    return "high"


def _format(body: Mapping[str, Any]) -> dict[str, Any]:
    wanted = mapping(mapping(body.get("output_config"), "output_config").get("format"), "output_config.format")
    if not wanted:
        return {}
    if wanted.get("type") != "json_schema":
        raise refused("output_config.format.type", "expected 'json_schema'")
    schema = mapping(wanted.get("schema"), "output_config.format.schema")
    named: dict[str, Any] = {"name": "answer", "schema": schema}
    if _can_be_strict(schema):  # Anthropic holds every answer to its schema; OpenAI only a strict one
        named["strict"] = True
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _can_be_strict(schema: object) -> bool:
    """OpenAI's strict mode wants every object closed and every property required."""
    if isinstance(schema, list):
        return all(_can_be_strict(inner) for inner in schema)
    if not isinstance(schema, dict):
        return True
    return _is_closed(schema) and all(_can_be_strict(inner) for inner in schema.values())


def _is_closed(schema: Mapping[str, Any]) -> bool:
    if schema.get("type") != "object":
        return True
    properties, required = schema.get("properties"), schema.get("required")
    names = list(properties) if isinstance(properties, dict) else []
    listed = required if isinstance(required, list) else []
    return schema.get("additionalProperties") is False and all(name in listed for name in names)


def _user(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = mapping(body.get("metadata"), "metadata")
    for field in metadata:
        if field != "user_id":
            raise refused(f"metadata.{field}", REFUSED_SINCE_2026)
    return {"user": metadata["user_id"]} if metadata.get("user_id") else {}

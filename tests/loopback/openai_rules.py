"""What api.openai.com refuses in a chat request, one function a rule, with its own words.

Words and codes from the API reference, the SDK (3.54) and users' issues, 2026-11; not compared with live calls.
"""

# ruff: noqa: E501, SIM905 - a vendor's sentence stays on one line, to be searched for; forty names read better as words

from __future__ import annotations

import re
from typing import Any

from tests.loopback.flavour import Refusal, text_of
from tests.loopback.openai_like import Body, Rule

FIELDS = frozenset(
    "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages "
    "metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key "
    "prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier "
    "stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity "
    "web_search_options".split()
)
MESSAGE_FIELDS = {
    "developer": {"role", "content", "name"},
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "audio", "annotations", "function_call", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
    "function": {"role", "content", "name"},
}
_KNOWN_MODEL = re.compile(r"(gpt-|chatgpt-|o\d)")
_REASONING_MODEL = re.compile(r"(gpt-[5-9]|o\d)")


def error(
    message: str,
    param: str | None = None,
    code: str | None = None,
    status: int = 400,
    kind: str = "invalid_request_error",
) -> Refusal:
    return Refusal(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def _unknown_field(body: Body) -> Refusal | None:
    for name in body:
        if name not in FIELDS:
            return error(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    return None


def _model(body: Body) -> Refusal | None:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        return error("you must provide a model parameter")
    if not _KNOWN_MODEL.match(model):
        words = f"The model `{model}` does not exist or you do not have access to it."
        return error(words, None, "model_not_found", 404)
    return None


def _messages(body: Body) -> Refusal | None:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return error("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    if not messages:
        words = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        return error(words, "messages", "empty_array")
    return next((refusal for i, m in enumerate(messages) if (refusal := _message(f"messages[{i}]", m))), None)


def _message(where: str, message: dict[str, Any]) -> Refusal | None:
    role = message.get("role")
    if role not in MESSAGE_FIELDS:
        known = ", ".join(f"'{name}'" for name in sorted(MESSAGE_FIELDS))
        return error(f"Invalid value: '{role}'. Supported values are: {known}.", f"{where}.role", "invalid_value")
    for name in message:
        if name not in MESSAGE_FIELDS[role]:
            return error(f"Unknown parameter: '{where}.{name}'.", f"{where}.{name}", "unknown_parameter")
    if message.get("content") is None and not (
        role == "assistant" and set(message) & {"tool_calls", "function_call", "audio"}
    ):
        words = f"Invalid value for 'content': expected a string, got null. ({where}.content)"
        return error(words, f"{where}.content")
    return None


def _answered_tools(body: Body) -> Refusal | None:
    waiting: list[str] = []
    for i, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                words = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                return error(words, f"messages.[{i}].role")
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            return _unanswered(waiting, i)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    return _unanswered(waiting, len(body["messages"])) if waiting else None


def _unanswered(ids: list[str], position: int) -> Refusal:
    words = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(ids)}"
    )
    return error(words, f"messages.[{position}].role")


def _limits(body: Body) -> Refusal | None:
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        return error(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens"
        )
    if body.get("max_tokens") is not None and _REASONING_MODEL.match(body["model"]):
        words = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return error(words, "max_tokens", "unsupported_parameter")
    for name in ("max_tokens", "max_completion_tokens"):
        if (value := body.get(name)) is not None and value < 1:
            words = f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
            return error(words, name, "integer_below_min_value")
    return None


def _sampling(body: Body) -> Refusal | None:
    temperature = body.get("temperature")
    if temperature is not None and temperature > 2:
        words = (
            f"Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got {temperature} instead."
        )
        return error(words, "temperature", "decimal_above_max_value")
    if not _REASONING_MODEL.match(body["model"]) or body.get("reasoning_effort") == "none":
        return None
    for name, default in (("temperature", 1), ("top_p", 1), ("presence_penalty", 0), ("frequency_penalty", 0)):
        if (value := body.get(name)) is not None and value != default:
            words = f"Unsupported value: '{name}' does not support {value} with this model. Only the default ({default}) value is supported."
            return error(words, name, "unsupported_value")
    if body.get("logprobs"):
        words = "Unsupported parameter: 'logprobs' is not supported with this model."
        return error(words, "logprobs", "unsupported_parameter")
    return None


def _effort_with_tools(body: Body) -> Refusal | None:
    """Since GPT-5.4 (openai-openapi#541, webmcp-tools#417)."""
    if not re.match(r"gpt-(5\.[4-9]|[6-9])", body["model"]) or not body.get("tools"):
        return None
    if body.get("reasoning_effort") in (None, "none"):
        return None
    words = f"Function tools with reasoning_effort are not supported for {body['model']} in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'."
    return error(words, "reasoning_effort")


def _stream_options(body: Body) -> Refusal | None:
    if body.get("stream_options") is not None and not body.get("stream"):
        return error("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    return None


def _tools(body: Body) -> Refusal | None:
    if body.get("tools") is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None:
                words = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
                return error(words, name)
        return None
    if not body["tools"]:
        words = "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
        return error(words, "tools", "empty_array")
    for i, tool in enumerate(body["tools"]):
        name = tool.get("function", tool.get("custom", {})).get("name", "")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
            words = f"Invalid 'tools[{i}].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            return error(words, f"tools[{i}].function.name", "invalid_value")
    return None


def _response_format(body: Body) -> Refusal | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object":
        said = " ".join(text_of(message.get("content")) for message in body["messages"])
        if "json" not in said.lower():
            words = (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
            return error(words, "messages")
    schema = wanted.get("json_schema") or {}
    if schema.get("strict") and (fault := _lax(schema.get("schema", {}))):
        return error(f"Invalid schema for response_format '{schema.get('name')}': {fault}", "response_format")
    return None


def _lax(schema: object) -> str | None:
    """Why a schema is not strict, or None."""
    if isinstance(schema, list):
        return next((fault for part in schema if (fault := _lax(part))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "In context=(), 'additionalProperties' is required to be supplied and to be false."
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return "In context=(), 'required' is required to be supplied and to be an array including every key in properties."
    return next((fault for part in schema.values() if (fault := _lax(part))), None)


def _stop(body: Body) -> Refusal | None:
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > 4:
        words = f"Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {len(stop)} instead."
        return error(words, "stop", "array_above_max_length")
    return None


RULES: tuple[Rule, ...] = (
    _unknown_field, _model, _messages, _answered_tools, _limits, _sampling, _effort_with_tools, _stream_options, _tools, _response_format, _stop
)  # fmt: skip

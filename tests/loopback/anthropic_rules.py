"""What api.anthropic.com refuses in a Messages request, one function a rule, with its own words.

Words from the API reference, the SDK (2.12) and users' issues, 2026-11; not compared with live calls. Stricter than
the real one in one place: it merges consecutive messages of one role, we refuse them, as a gateway should merge.
"""

# ruff: noqa: E501, SIM905 - a vendor's sentence stays on one line, to be searched for; forty names read better as words

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from tests.loopback.flavour import Refusal

Body = Mapping[str, Any]
Rule = Callable[[Body, str], Refusal | None]

VERSIONS = ("2023-06-01", "2026-10-21")
_SAMPLING = ("temperature", "top_p", "top_k")
_FIELDS = frozenset(
    "cache_control container diagnostics inference_geo max_tokens messages metadata model output_config service_tier "
    "speed stop_sequences stream system thinking tool_choice tools user_profile_id workspace_id".split()
)
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}
_NO_PREFILL = re.compile(r"claude-(\w+-4-[6-9]|\w+-5|mythos)")
_NO_SAMPLING = re.compile(r"claude-(opus-4-[7-9]|\w+-5|mythos)")
_MAX_OUTPUT_TOKENS = 128_000
_MAX_CACHE_BREAKPOINTS = 4


def error(message: str, status: int = 400, kind: str = "invalid_request_error") -> Refusal:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_loopback"}
    return Refusal(status, body)


def _fields(body: Body, version: str) -> Refusal | None:
    allowed = _FIELDS | set(_SAMPLING) if version == "2023-06-01" else _FIELDS
    for name in body:
        if name not in allowed:
            return error(f"{name}: Extra inputs are not permitted")
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            return error(f"{name}: Field required")
    for name in body.get("metadata") or {}:
        if name != "user_id":
            return error(f"metadata.{name}: Extra inputs are not permitted")
    return None


def _model(body: Body, version: str) -> Refusal | None:
    known = str(body["model"]).startswith("claude-")
    return None if known else error(f"model: {body['model']}", 404, "not_found_error")


def _limit(body: Body, version: str) -> Refusal | None:
    limit = body["max_tokens"]
    if not isinstance(limit, int) or limit < 1:
        return error("max_tokens: Input should be greater than or equal to 1")
    if limit > _MAX_OUTPUT_TOKENS:
        words = f"which is the maximum allowed number of output tokens for {body['model']}"
        return error(f"max_tokens: {limit} > {_MAX_OUTPUT_TOKENS}, {words}")
    return None


def _roles(body: Body, version: str) -> Refusal | None:
    messages = body["messages"]
    if not messages:
        return error("messages: at least one message is required")
    for message in messages:
        if message.get("role") not in _BLOCKS:
            words = f'messages: Unexpected role "{message.get("role")}". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.'
            return error(words)
    roles = [message["role"] for message in messages]
    if roles[0] != "user":
        return error('messages: first message must use the "user" role')
    for before, after in pairwise(roles):
        if before == after:
            words = f'messages: roles must alternate between "user" and "assistant", but found multiple "{after}" roles in a row'
            return error(words)
    return None


def _contents(body: Body, version: str) -> Refusal | None:
    for i, message in enumerate(body["messages"]):
        if not message.get("content"):
            return error(
                f"messages.{i}: all messages must have non-empty content except for the optional final assistant message"
            )
        if isinstance(message["content"], str) and not message["content"].strip():
            return error("messages: text content blocks must contain non-whitespace text")
        for extra in set(message) - {"role", "content"}:
            return error(f"messages.{i}.{extra}: Extra inputs are not permitted")
        for j, block in enumerate(blocks(message)):
            if refusal := _block(f"messages.{i}.content.{j}", message["role"], block):
                return refusal
    return None


def _block(where: str, role: str, block: Mapping[str, Any]) -> Refusal | None:
    kind = block.get("type")
    if kind not in _BLOCKS[role]:
        return error(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if kind == "text" and not block.get("text", "").strip():
        return error("messages: text content blocks must be non-empty")
    if kind in ("tool_use", "tool_result"):
        id = block.get("id" if kind == "tool_use" else "tool_use_id", "")
        if not re.fullmatch(r"[a-zA-Z0-9_-]+", id):
            return error(f"{where}.{kind}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if kind == "tool_use" and not isinstance(block.get("input"), dict):
        return error(f"{where}.tool_use.input: Input should be a valid dictionary")
    return None


def _answered_tools(body: Body, version: str) -> Refusal | None:
    asked: list[str] = []
    for i, message in enumerate(body["messages"]):
        answers = [block["tool_use_id"] for block in blocks(message) if block["type"] == "tool_result"]
        for id in answers:
            if id not in asked:
                words = "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                return error(
                    f"messages.{i}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {id}. {words}"
                )
        if missing := [id for id in asked if id not in answers]:
            return _unanswered(i - 1, missing)
        kinds = [block["type"] for block in blocks(message)]
        if answers and kinds[: len(answers)] != ["tool_result"] * len(answers):
            return error(f"messages.{i}: `tool_result` blocks must come before other content in the message")
        asked = [block["id"] for block in blocks(message) if block["type"] == "tool_use"]
    return _unanswered(len(body["messages"]) - 1, asked) if asked else None


def _unanswered(position: int, ids: list[str]) -> Refusal:
    words = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    found = f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}"
    return error(f"messages.{position}: {found}. {words}")


def _prefill(body: Body, version: str) -> Refusal | None:
    if body["messages"][-1]["role"] != "assistant":
        return None
    if _NO_PREFILL.match(body["model"]):
        return error(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    last = blocks(body["messages"][-1])[-1]
    if last.get("text", "").rstrip() != last.get("text", ""):
        return error("messages: final assistant content cannot end with trailing whitespace")
    return None


def _sampling(body: Body, version: str) -> Refusal | None:
    given = [name for name in _SAMPLING if body.get(name) is not None]
    if given and _NO_SAMPLING.match(body["model"]):
        return error(f"`{given[0]}` is deprecated for this model.")
    if "temperature" in given and not 0 <= body["temperature"] <= 1:
        return error("temperature: range: 0..1")
    if "temperature" in given and "top_p" in given:
        return error("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if any(not mark.strip() for mark in body.get("stop_sequences") or ()):
        return error("stop_sequences: each stop sequence must contain non-whitespace")
    return None


def _thinking(body: Body, version: str) -> Refusal | None:
    thinking = body.get("thinking") or {}
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if thinking.get("type") in ("enabled", "adaptive") and forced:
        return error("Thinking may not be enabled when tool_choice forces tool use.")
    if thinking.get("type") != "enabled":
        return None
    if _NO_SAMPLING.match(body["model"]):
        return error(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        )
    if thinking.get("budget_tokens", 0) < 1024:
        return error("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if thinking["budget_tokens"] >= body["max_tokens"]:
        return error("`max_tokens` must be greater than `thinking.budget_tokens`.")
    return None


def _tools(body: Body, version: str) -> Refusal | None:
    if body.get("tool_choice") is not None and not body.get("tools"):
        return error("tool_choice: tool_choice may only be specified while providing tools.")
    for i, tool in enumerate(body.get("tools") or ()):
        for extra in set(tool) - {"type", "name", "description", "input_schema", "strict", "cache_control"}:
            return error(f"tools.{i}.custom.{extra}: Extra inputs are not permitted")
        if (tool.get("input_schema") or {}).get("type") != "object":
            return error(f"tools.{i}.custom.input_schema.type: Input should be 'object'")
    return None


def _output_format(body: Body, version: str) -> Refusal | None:
    wanted = (body.get("output_config") or {}).get("format") or {}
    fault = _lax(wanted.get("schema"))
    return error(f"output_config.format.schema: {fault}") if fault else None


def _lax(schema: object) -> str | None:
    """Why structured outputs refuse a schema, or None."""
    if isinstance(schema, list):
        return next((fault for part in schema if (fault := _lax(part))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    for word in ("minimum", "maximum", "minLength", "maxLength", "multipleOf", "maxItems"):
        if isinstance(schema.get(word), int | float):
            return f"For '{schema.get('type')}' type, property '{word}' is not supported"
    return next((fault for part in schema.values() if (fault := _lax(part))), None)


def _cache_control(body: Body, version: str) -> Refusal | None:
    found = sum(1 for _ in _breakpoints({k: body.get(k) for k in ("system", "messages", "tools")}))
    if found <= _MAX_CACHE_BREAKPOINTS:
        return None
    return error(f"A maximum of {_MAX_CACHE_BREAKPOINTS} blocks with cache_control may be provided. Found {found}.")


def _breakpoints(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for part in value:
            yield from _breakpoints(part)
    elif isinstance(value, dict):
        if value.get("cache_control"):
            yield value
        for part in value.values():
            yield from _breakpoints(part)


def blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A message's content as blocks."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


RULES: tuple[Rule, ...] = (
    _fields, _model, _limit, _roles, _contents, _answered_tools, _prefill, _sampling, _thinking, _tools, _output_format, _cache_control
)  # fmt: skip

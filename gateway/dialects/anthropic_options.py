"""Everything of an OpenAI request but its messages, as Anthropic has it.

Three fates: mapped; dropped and named, where it is a hint; refused with UnsupportedParameter, where leaving it out
would change what the client gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chat import ChatRequest
from gateway.core.chunks import Mend
from gateway.core.errors import UnsupportedParameter
from gateway.core.profile import nearest_effort
from gateway.core.tool_choice import is_forced
from gateway.dialects.dialect import Target
from gateway.dialects.emulation import ANSWER_TOOL, following, unwrapped
from gateway.dialects.json_schema import JSON_INSTRUCTION, closed_schema, schema_instruction, schema_of
from gateway.dialects.parameters import settle
from gateway.dialects.request_shape import mapping, number, objects, strings

FALLBACK_MAX_TOKENS = 32_000
"""`max_tokens` is required there. Without a figure in the catalog: what every Claude since 4.0 can write (the lowest
is Opus 4 and 4.1, models overview, docs.claude.com). Low defaults cut long answers short (LiteLLM#15322)."""

_MAPPED = {
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user",
}
# Sent as they came: Anthropic's own fields, which OpenAI's clients put into `extra_body`.
_OWN = ("cache_control", "container", "inference_geo", "speed")

_EFFORTS = ("none", "low", "medium", "high", "max")
# Our choice for models that take a budget instead of an effort; the API's minimum is 1024.
_BUDGET_TOKENS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_LEAST_BUDGET_TOKENS = 1024


class Options:
    """The fields of one request, being collected. `wire` is Anthropic's body, `dropped` the hints left out,
    `instructions` what must be said in the system prompt because no field says it, `mends` what is then to be done to
    the answer."""

    def __init__(self, chat: ChatRequest, target: Target) -> None:
        self._chat = chat
        self._profile = target.profile
        self._body, self.dropped = settle(chat.body, "anthropic", target.profile)
        limit = target.output_limit(chat.max_tokens)
        self.max_tokens = limit or target.profile.max_output_tokens or FALLBACK_MAX_TOKENS
        self.wire: dict[str, Any] = {"model": target.model, "max_tokens": self.max_tokens, "stream": chat.stream}
        self.instructions: list[str] = []
        self.mends: list[Mend] = []
        self._add_tools()
        self._add_reasoning()
        self._add_sampling()
        self._add_stop()
        self._add_format()
        self._add_user()
        self._add_own()

    @property
    def thinking(self) -> bool:
        """Whether the model was asked to think."""
        thinking = self.wire.get("thinking")
        return isinstance(thinking, Mapping) and thinking.get("type") != "disabled"

    def _add_tools(self) -> None:
        asked = objects(self._body.get("tools"), "tools")
        tools = [_tool(tool, f"tools[{place}]") for place, tool in enumerate(asked)]
        choice = self._body.get("tool_choice")
        if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
            tools, choice = _allowed(tools, choice)
        if tools:
            self.wire["tools"] = tools
            mapped = _tool_choice(choice)
            if self._body.get("parallel_tool_calls") is False and mapped != {"type": "none"}:
                mapped = {"type": "auto", **mapped, "disable_parallel_tool_use": True}
            if mapped:
                self.wire["tool_choice"] = mapped
        elif called := _called_tools(self._chat):
            # "Requests which include `tool_use` or `tool_result` blocks must define tools"
            self.wire["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in called]
            self.wire["tool_choice"] = {"type": "none"}

    def _add_reasoning(self) -> None:
        asked = self._body.get("reasoning_effort")
        effort = nearest_effort(asked, self._profile.efforts or _EFFORTS)
        if "thinking" in self._body:  # Anthropic's own field, sent by a client that knows it
            self.wire["thinking"] = self._body["thinking"]
        elif effort not in (None, "none") and self._can_think():
            self._think(str(asked if self._profile.reasoning == "budget" else effort))
        if asked not in (None, "none") and not {"thinking", "output_config"} & self.wire.keys():
            self.dropped.append("reasoning_effort")
        elif asked == "none" and effort != "none":
            self.dropped.append("reasoning_effort")  # it thinks, whatever is asked

    def _can_think(self) -> bool:
        """A forced tool and thinking exclude each other; the forced tool is the client's harder wish."""
        return self._profile.reasoning != "none" and not is_forced(self._body.get("tool_choice"))

    def _think(self, effort: str) -> None:
        if self._profile.reasoning == "budget":
            budget = min(_BUDGET_TOKENS[effort], self.max_tokens // 2)  # thinking is part of max_tokens
            if budget >= _LEAST_BUDGET_TOKENS and not _loop_without_thoughts(self._chat):
                self.wire["thinking"] = {"type": "enabled", "budget_tokens": budget}
            return
        if self._profile.reasoning == "adaptive":
            self.wire["thinking"] = {"type": "adaptive"}
        self.wire["output_config"] = {"effort": effort}

    def _add_sampling(self) -> None:
        """Temperature ends at 1 there; temperature and top_p exclude each other; neither goes with thinking."""
        for field in ("temperature", "top_p", "top_k"):
            value = number(self._body.get(field), field)
            if value is None:
                continue
            if self.thinking or (field == "top_p" and "temperature" in self.wire):
                self.dropped.append(field)
            else:
                self.wire[field] = min(value, 1) if field == "temperature" else value

    def _add_stop(self) -> None:
        asked = strings(self._body.get("stop"), "stop")
        sequences = [text for text in asked if text.strip()]
        if sequences:
            self.wire["stop_sequences"] = sequences
        if len(sequences) < len(asked):  # whitespace alone is refused there
            self.dropped.append("stop")

    def _add_format(self) -> None:
        asked = self._body.get("response_format")
        schema = schema_of(asked)
        if schema is not None and self._profile.json_schema == "native":
            config = self.wire.setdefault("output_config", {})
            config["format"] = {"type": "json_schema", "schema": closed_schema(schema)}
        elif schema is not None and self._may_force(schema):
            self.mends.append(unwrapped(schema))
            self.wire["tools"] = [{"name": ANSWER_TOOL, "description": "Your answer.", "input_schema": schema}]
            self.wire["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}
        elif schema is not None:
            self.mends.append(following(schema))
            self.instructions.append(schema_instruction(schema))
        elif isinstance(asked, Mapping) and asked.get("type") == "json_object":
            self.mends.append(following({"type": "object"}))
            self.instructions.append(JSON_INSTRUCTION)

    def _may_force(self, schema: Mapping[str, Any]) -> bool:
        """Whether a tool may stand for the schema: not beside the client's own tools, nor while thinking."""
        free = "tools" not in self.wire and not self.thinking and self._profile.forced_tools is True
        return free and schema.get("type") == "object"

    def _add_user(self) -> None:
        user = self._body.get("user") or self._body.get("safety_identifier")
        if user:
            self.wire["metadata"] = {"user_id": user}  # the only key there; OpenAI's `metadata` stays with us

    def _add_own(self) -> None:
        """Anthropic's fields; and a field in no table is dropped, because it would be a 400 there."""
        for field, value in self._body.items():
            if value is None or field in _MAPPED:
                continue
            if field in _OWN or field in self._profile.extra_fields:
                self.wire[field] = value
            else:
                self.dropped.append(field)


def _tool(tool: Mapping[str, Any], place: str) -> dict[str, Any]:
    if tool.get("type", "function") != "function":
        raise UnsupportedParameter("Anthropic takes only function tools here.", param=f"{place}.type")
    function = mapping(tool.get("function"), f"{place}.function")
    parameters = mapping(function.get("parameters"), f"{place}.function.parameters") or {"properties": {}}
    mapped = {"name": function.get("name"), "input_schema": {**parameters, "type": "object"}}
    if function.get("description"):
        mapped["description"] = function["description"]
    if function.get("strict"):
        mapped["strict"] = True
    if tool.get("cache_control") is not None:
        mapped["cache_control"] = tool["cache_control"]
    return mapped


def _tool_choice(choice: Any) -> dict[str, Any]:
    """Anthropic's choice; nothing when the client left it open."""
    if choice is None:
        return {}
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        return {"type": "any" if choice == "required" else choice}
    function = choice.get("function") if isinstance(choice, Mapping) else None
    if not isinstance(function, Mapping):
        raise UnsupportedParameter("Anthropic knows no such tool_choice.", param="tool_choice")
    return {"type": "tool", "name": function.get("name")}


def _allowed(tools: list[dict[str, Any]], choice: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """`allowed_tools` as fewer tools; there is no such choice there."""
    allowed = mapping(choice.get("allowed_tools"), "tool_choice.allowed_tools")
    entries = objects(allowed.get("tools"), "tool_choice.allowed_tools.tools")
    names = [mapping(entry.get("function"), "tool_choice.allowed_tools.tools").get("name") for entry in entries]
    return [tool for tool in tools if tool["name"] in names], allowed.get("mode") or "auto"


def _called_tools(chat: ChatRequest) -> list[str]:
    """The names of the tools that the history calls, each once, in order."""
    calls = (call for message in chat.messages for call in objects(message.get("tool_calls"), "messages"))
    names = (mapping(call.get("function"), "messages").get("name") for call in calls)
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _loop_without_thoughts(chat: ChatRequest) -> bool:
    """Whether we are in a tool loop whose calls came without their thinking blocks: with a budget that is a 400."""
    for message in reversed(chat.messages):
        if message.get("role") == "user":
            return False
        if message.get("tool_calls") and not message.get("thinking_blocks"):
            return True
    return False

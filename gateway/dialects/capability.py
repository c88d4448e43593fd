"""What a model cannot do at all: refused before anything is sent, naming the parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chat import ChatRequest
from gateway.core.errors import UnsupportedParameter
from gateway.core.profile import Profile


def check_capabilities(chat: ChatRequest, profile: Profile) -> None:
    """Raises UnsupportedParameter for tools, a forced tool or an image that the model cannot honour."""
    choice = chat.body.get("tool_choice")
    if chat.body.get("tools") and choice != "none":
        if not profile.tools:
            raise UnsupportedParameter("This model cannot call tools.", param="tools")
        if is_forced(choice) and not profile.forced_tools:
            raise UnsupportedParameter('This model cannot be forced to call a tool: use "auto".', param="tool_choice")
    if not profile.vision:
        _refuse_images(chat)


def is_forced(tool_choice: object) -> bool:
    """Whether the model must call some tool: `required`, a named one, or `allowed_tools` in mode `required`."""
    if isinstance(tool_choice, Mapping):
        allowed = tool_choice.get("allowed_tools")
        return not isinstance(allowed, Mapping) or allowed.get("mode") == "required"
    return tool_choice == "required"


def refuse(body: Mapping[str, Any], unmappable: Mapping[str, Any], provider: str) -> None:
    """Raises UnsupportedParameter for the first field that is set and is not the value that asks for nothing.

    `unmappable` maps a field to that neutral value (`n: 1`, `logprobs: False`); null is neutral everywhere.
    """
    for field, neutral in unmappable.items():
        if body.get(field) not in (None, neutral):
            raise UnsupportedParameter(f"{provider} has no counterpart of `{field}`.", param=field)


def _refuse_images(chat: ChatRequest) -> None:
    for number, message in enumerate(chat.messages):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                param = f"messages[{number}].content[{place}]"
                raise UnsupportedParameter("This model cannot see images.", param=param)

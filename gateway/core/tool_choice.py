"""What a request says about calling tools, and whether a model can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.profile import Profile


def can_call(body: Mapping[str, Any], profile: Profile) -> bool:
    """Whether the model, or the gateway in its place, can honour `tools`. True when none may be called."""
    return not _may_call(body) or profile.tools or emulates_call(body, profile)


def can_be_forced(body: Mapping[str, Any], profile: Profile) -> bool:
    """Whether `tool_choice` can be honoured. True when it forces nothing."""
    return not (_may_call(body) and is_forced(body.get("tool_choice"))) or bool(profile.forced_tools)


def emulates_call(body: Mapping[str, Any], profile: Profile) -> bool:
    """Whether a tool must be called and the gateway has to see to it."""
    return profile.forced_tools == "emulated" and _may_call(body) and is_forced(body.get("tool_choice"))


def is_forced(tool_choice: object) -> bool:
    """Whether the model must call some tool: `required`, a named one, or `allowed_tools` in mode `required`."""
    if isinstance(tool_choice, Mapping):
        allowed = tool_choice.get("allowed_tools")
        return not isinstance(allowed, Mapping) or allowed.get("mode") == "required"
    return tool_choice == "required"


def _may_call(body: Mapping[str, Any]) -> bool:
    return bool(body.get("tools")) and body.get("tool_choice") != "none"

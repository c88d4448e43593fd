"""Tools: may they be called, must one be, and can the model do it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.profile import Profile
from gateway.core.tool_choice import can_be_forced, can_call, emulates_call

TOOLS = [{"type": "function", "function": {"name": "now"}}]
NAMED = {"type": "function", "function": {"name": "now"}}
MUTE = Profile(tools=False, forced_tools=False)
EMULATED = Profile(tools=False, forced_tools="emulated")


@pytest.mark.parametrize(
    ("body", "mute", "emulated"),
    [
        ({}, True, True),
        ({"tools": TOOLS, "tool_choice": "none"}, True, True),
        ({"tools": TOOLS}, False, False),
        ({"tools": TOOLS, "tool_choice": "required"}, False, True),
        ({"tools": TOOLS, "tool_choice": NAMED}, False, True),
        ({"tool_choice": "required"}, True, True),
    ],
)
def test_a_model_without_tools_takes_what_calls_none_and_the_gateway_what_it_can_force(
    body: dict[str, Any], mute: bool, emulated: bool
) -> None:
    assert can_call(body, MUTE) is mute
    assert can_call(body, EMULATED) is emulated


def test_forcing_needs_a_model_or_a_gateway_that_can() -> None:
    forced = {"tools": TOOLS, "tool_choice": "required"}
    assert not can_be_forced(forced, Profile(forced_tools=False))
    assert can_be_forced(forced, EMULATED)
    assert can_be_forced({"tools": TOOLS, "tool_choice": "auto"}, Profile(forced_tools=False))


def test_only_a_forced_call_is_emulated() -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    assert emulates_call({"tools": TOOLS, "tool_choice": NAMED}, EMULATED)
    assert not emulates_call({"tools": TOOLS, "tool_choice": allowed}, EMULATED)
    assert not emulates_call({"tools": TOOLS}, EMULATED)

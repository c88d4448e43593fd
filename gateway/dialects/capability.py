"""What a model cannot do at all: refused before anything is sent, naming the parameter."""

from __future__ import annotations

from typing import Any

from gateway.core.chat import ChatRequest, Message, text_of
from gateway.core.errors import UnsupportedParameter
from gateway.core.profile import Profile
from gateway.core.tool_choice import can_be_forced, can_call


def check_capabilities(chat: ChatRequest, profile: Profile) -> None:
    """Raises UnsupportedParameter for tools, a forced tool, a begun answer or content that the model cannot take."""
    if chat.body.get("tools"):
        if not can_call(chat.body, profile):
            raise UnsupportedParameter('This model cannot call tools: set `tool_choice` to "none".', param="tools")
        if not can_be_forced(chat.body, profile):
            raise UnsupportedParameter('This model cannot be forced to call a tool: use "auto".', param="tool_choice")
    if not profile.prefill and _is_begun(chat.messages[-1]):
        raise UnsupportedParameter("This model cannot continue an assistant message.", param="messages")
    for number, message in enumerate(() if chat.plain else chat.messages):
        if type(message.get("content")) is list:
            _check_parts(message["content"], profile, f"messages[{number}].content")


def _is_begun(message: Message) -> bool:
    """An answer that the client has begun and the model should go on with."""
    return message["role"] == "assistant" and bool(text_of(message.get("content")).strip())


def _check_parts(parts: list[Any], profile: Profile, where: str) -> None:
    for place, part in enumerate(parts):
        what, taken = _content(part, profile)
        if not taken:
            raise UnsupportedParameter(f"This model takes no {what}.", param=f"{where}[{place}]")


def _content(part: Any, profile: Profile) -> tuple[str, bool]:
    """What a content part is, and whether the model takes it."""
    match part:
        case {"type": "image_url"}:
            return "images", profile.vision
        case {"type": "file"}:
            return "documents", profile.documents
        case {"type": "input_audio"}:
            return "audio", profile.audio
    return "text", True

"""What a model cannot do at all: refused before anything is sent, naming the parameter."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.chat import ChatRequest, Message, text_of
from gateway.core.errors import UnsupportedParameter
from gateway.core.profile import Profile
from gateway.core.tool_choice import can_be_forced, can_call


def check_capabilities(chat: ChatRequest, profile: Profile) -> None:
    """Raises UnsupportedParameter for tools, a forced tool, a begun answer or content that the model cannot take."""
    if not can_call(chat.body, profile):
        raise UnsupportedParameter('This model cannot call tools: set `tool_choice` to "none".', param="tools")
    if not can_be_forced(chat.body, profile):
        raise UnsupportedParameter('This model cannot be forced to call a tool: use "auto".', param="tool_choice")
    if not profile.prefill and _is_begun(chat.messages[-1]):
        raise UnsupportedParameter("This model cannot continue an assistant message.", param="messages")
    refused = {kind: what for kind, (what, taken) in _content(profile).items() if not taken}
    if refused:
        _refuse_content(chat, refused)


def _is_begun(message: Message) -> bool:
    """An answer that the client has begun and the model should go on with."""
    return message["role"] == "assistant" and bool(text_of(message.get("content")).strip())


def _content(profile: Profile) -> dict[str, tuple[str, bool]]:
    """By the type of a content part: what it is, and whether the model takes it."""
    return {
        "image_url": ("images", profile.vision),
        "file": ("documents", profile.documents),
        "input_audio": ("audio", profile.audio),
    }


def _refuse_content(chat: ChatRequest, refused: Mapping[str, str]) -> None:
    for number, message in enumerate(chat.messages):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, Mapping) and part.get("type") in refused:
                param = f"messages[{number}].content[{place}]"
                raise UnsupportedParameter(f"This model takes no {refused[part['type']]}.", param=param)

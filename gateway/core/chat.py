"""A chat request: typed where the gateway looks, the client's body untouched for the provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.core.frozen import value

Message = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PLAIN = (("role", "content"), ("content", "role"))


@value(frozen=True, slots=True)
class ChatRequest:
    """One request, already validated by `parse_chat`.

    `body` is the client's JSON object without the `thriftgate` field; nobody mutates it. `max_tokens` is the output
    limit the client asked for, under either of its two names. `include_usage` is the client's own wish: upstream is
    always asked for usage, and it is hidden again if the client did not ask. `plain`: each message is a role and a
    text, as most are, so that nobody need look for anything else in them.
    """

    model: str
    messages: tuple[Message, ...]
    body: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    plain: bool = False


def parse_chat(body: object) -> ChatRequest:
    """Check what the gateway itself relies on; every other field is the provider's to judge.

    Raises InvalidRequest whose `param` names the field and whose message says what would be right.
    """
    if type(body) is not dict:
        raise InvalidRequest("The body must be a JSON object with `model` and `messages`.")
    if "thriftgate" in body:
        body = {key: value for key, value in body.items() if key != "thriftgate"}
    if "tools" in body:
        _check_tools(body)
    stream = "stream" in body and _boolean(body, "stream")
    model = _model(body)
    messages, plain = _messages(body)
    return ChatRequest(
        model,
        messages,
        body,
        stream,
        "stream_options" in body and _include_usage(body, stream),
        _max_tokens(body),
        plain,
    )


def text_of(content: object) -> str:
    """The text of a message's content: the string itself, or its text parts joined by newlines."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part, dict) and _is_text(part))
    return ""


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str)


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if type(model) is not str or not model:
        raise InvalidRequest('`model` must be a non-empty string, for example "auto".', param="model")
    return model


def _messages(body: Mapping[str, Any]) -> tuple[tuple[Message, ...], bool]:
    """And whether all of them are plain."""
    messages = body.get("messages")
    if type(messages) is not list or not messages:
        raise InvalidRequest("`messages` must be a non-empty list of messages.", param="messages")
    plain = True
    for at, message in enumerate(messages):
        if type(message) is not dict or tuple(message) not in _PLAIN or type(message["content"]) is not str:
            plain = False
            _check_message(message, f"messages[{at}]")
        elif message["role"] not in ROLES:
            _check_message(message, f"messages[{at}]")
    return tuple(messages), plain


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise InvalidRequest(f"`{where}` must be an object with `role` and `content`.", param=where)
    if message.get("role") not in ROLES:
        raise InvalidRequest(f"`{where}.role` must be one of {', '.join(ROLES)}.", param=f"{where}.role")
    content = message.get("content")
    if content is None:
        if message["role"] == "assistant":
            return
        raise InvalidRequest(f"`{where}.content` is missing.", param=f"{where}.content")
    if isinstance(content, str):
        return
    if not isinstance(content, list) or not all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in content
    ):
        raise InvalidRequest(
            f"`{where}.content` must be a string or a list of parts, each with a `type`.", param=f"{where}.content"
        )


def _check_tools(body: Mapping[str, Any]) -> None:
    """They are counted to choose a model; what is in them is the provider's to judge."""
    if not isinstance(body.get("tools"), list | None):
        raise InvalidRequest("`tools` must be a list.", param="tools")


def _boolean(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidRequest(f"`{name}` must be true or false.", param=name)
    return value


def _include_usage(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise InvalidRequest("`stream_options` is only allowed with `stream: true`.", param="stream_options")
    if not isinstance(options, dict):
        raise InvalidRequest("`stream_options` must be an object.", param="stream_options")
    return _boolean(options, "include_usage")


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    name = "max_tokens"
    value = body.get(name)
    if "max_completion_tokens" in body and (other := body["max_completion_tokens"]) is not None:
        if value is not None:
            raise InvalidRequest("Send either `max_tokens` or `max_completion_tokens`, not both.", param="max_tokens")
        name, value = "max_completion_tokens", other
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise InvalidRequest(f"`{name}` must be an integer of at least 1.", param=name)
    return value

"""The OpenAPI description of the routes that FastAPI does not see, because they are answered in front of it."""

from __future__ import annotations

from typing import Any

from gateway.core.chat import ROLES
from gateway.dialects.served.messages_request import VERSIONS

_ERROR = {"$ref": "#/components/schemas/Error"}
_ANTHROPIC_ERROR = {"$ref": "#/components/schemas/AnthropicError"}

_MODEL = {
    "type": "string",
    "minLength": 1,
    "description": "`auto`, `auto:light|medium|heavy`, a model's name, or `provider/model`.",
}
_OPTIONS = {"type": "object", "description": "Options of the gateway; never sent upstream."}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
_PART = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}
_CONTENT = {"anyOf": [{"type": "string"}, {"type": "array", "items": _PART}]}


def _messages(*roles: str) -> dict[str, Any]:
    fields = {"role": {"enum": list(roles)}, "content": _CONTENT}
    return {
        "type": "array",
        "minItems": 1,
        "items": {"type": "object", "required": ["role", "content"], "properties": fields},
    }


_STREAM = {"type": "boolean", "default": False}
_STREAM_OPTIONS = {"type": "object", "properties": {"include_usage": {"type": "boolean"}}}
_LIMIT = {"type": "integer", "minimum": 1}
_ONLY_OLD = "Only with `anthropic-version: 2023-06-01`."

CHAT_REQUEST = {
    "type": "object",
    "required": ["model", "messages"],
    "description": "OpenAI's chat completion request. Fields not listed here pass on to the model's provider.",
    "properties": {
        "model": _MODEL,
        "messages": _messages(*ROLES),
        "stream": _STREAM,
        "stream_options": _STREAM_OPTIONS,
        "max_tokens": _LIMIT,
        "max_completion_tokens": _LIMIT,
        "tools": _OBJECTS,
        "thriftgate": _OPTIONS,
    },
    "additionalProperties": True,
}
_COUNT_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["model", "messages"],
    "description": "Anthropic's Messages request. Fields that are not Anthropic's are refused.",
    "properties": {
        "model": _MODEL,
        "messages": _messages("user", "assistant"),
        "system": {"oneOf": [{"type": "string"}, _OBJECTS]},
        "tools": _OBJECTS,
        "tool_choice": {"type": "object"},
        "thinking": {"type": "object"},
        "output_config": {"type": "object"},
        "thriftgate": _OPTIONS,
    },
    "additionalProperties": False,
}
_MESSAGES_REQUEST = {
    **_COUNT_REQUEST,
    "required": ["model", "messages", "max_tokens"],
    "properties": {
        **_COUNT_REQUEST["properties"],
        "max_tokens": _LIMIT,
        "stream": _STREAM,
        "stop_sequences": {"type": "array", "items": {"type": "string"}},
        "metadata": {"type": "object", "properties": {"user_id": {"type": "string"}}, "additionalProperties": False},
        **{field: {"type": "number", "description": _ONLY_OLD} for field in ("temperature", "top_p", "top_k")},
    },
}
_RESPONSES_REQUEST = {
    "type": "object",
    "required": ["model", "input"],
    "description": "OpenAI's Responses request, stateless: what needs a stored response is refused by name.",
    "properties": {
        "model": _MODEL,
        "input": {"oneOf": [{"type": "string"}, {**_OBJECTS, "minItems": 1}]},
        "instructions": {"type": ["string", "null"]},
        "max_output_tokens": _LIMIT,
        "stream": _STREAM,
        "tools": _OBJECTS,
        "text": {"type": "object"},
        "reasoning": {"type": "object"},
        "store": {"type": "boolean", "description": "Accepted and answered `false`: nothing is stored."},
        "thriftgate": _OPTIONS,
    },
    "additionalProperties": True,
}
_COMPLETIONS_REQUEST = {
    "type": "object",
    "required": ["model", "prompt"],
    "description": "OpenAI's legacy request. The prompt becomes one user message: a chat model stands behind it.",
    "properties": {
        "model": _MODEL,
        "prompt": {
            "oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string"}}]
        },
        "max_tokens": _LIMIT,
        "stream": _STREAM,
        "stream_options": _STREAM_OPTIONS,
        "thriftgate": _OPTIONS,
    },
    "additionalProperties": True,
}
_EMBEDDINGS_REQUEST = {
    "type": "object",
    "required": ["model", "input"],
    "properties": {
        "model": {"type": "string"},
        "input": {"oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {}}]},
        "encoding_format": {"enum": ["float", "base64"], "default": "float"},
        "dimensions": {"type": "integer", "minimum": 1},
    },
    "additionalProperties": True,
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_ANTHROPIC_ERROR_SCHEMA = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}
_ANTHROPIC_VERSION = {
    "name": "anthropic-version",
    "in": "header",
    "required": True,
    "schema": {"enum": list(VERSIONS)},
}
_FAILURES = {
    400: "The request cannot be served as written; the error names the field.",
    401: "No key, or not one of ours.",
    403: "The service may not use this model.",
    404: "No such model.",
    405: "Only POST.",
    413: "The body is too large.",
    415: "The body is compressed.",
    429: "A budget or a limit; `retry-after` says when to come back.",
    500: "A bug; the log has it under the request id.",
    502: "A provider failed.",
    503: "Nothing can answer now.",
    504: "A provider did not answer in time.",
}


def with_hot_routes(document: dict[str, Any]) -> dict[str, Any]:
    """Adds what models answer to FastAPI's own document, in place, and returns it."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"Error": _ERROR_SCHEMA, "AnthropicError": _ANTHROPIC_ERROR_SCHEMA}
    document.setdefault("paths", {}).update(
        {
            "/v1/chat/completions": _post("Create a chat completion", CHAT_REQUEST, streamed=True),
            "/v1/completions": _post("Create a completion (legacy)", _COMPLETIONS_REQUEST, streamed=True),
            "/v1/responses": _post("Create a response", _RESPONSES_REQUEST, streamed=True),
            "/v1/embeddings": _post("Create embeddings", _EMBEDDINGS_REQUEST),
            "/v1/messages": _anthropic(_post("Create a message", _MESSAGES_REQUEST, streamed=True)),
            "/v1/messages/count_tokens": _anthropic(_post("Estimate a message's tokens", _COUNT_REQUEST)),
        }
    )
    return document


def _post(summary: str, schema: dict[str, Any], *, streamed: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if streamed:
        content["text/event-stream"] = {}  # OpenAPI 3.1 has no way to describe events
    failures = {
        str(status): {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for status, text in _FAILURES.items()
    }
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    answer = {"description": "The answer.", "content": content}
    return {"post": {"summary": summary, "requestBody": body, "responses": {"200": answer, **failures}}}


def _anthropic(path: dict[str, Any]) -> dict[str, Any]:
    """The same in Anthropic's API: with its version, and with its errors."""
    path["post"]["parameters"] = [_ANTHROPIC_VERSION]
    for status, response in path["post"]["responses"].items():
        if status != "200":
            response["content"]["application/json"]["schema"] = _ANTHROPIC_ERROR
    return path

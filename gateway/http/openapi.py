"""The OpenAPI description of the routes that FastAPI does not see, because they are answered in front of it."""

from __future__ import annotations

from typing import Any

_ERROR = {"$ref": "#/components/schemas/Error"}

_CHAT_REQUEST = {
    "type": "object",
    "required": ["model", "messages"],
    "description": "OpenAI's chat completion request. Fields not listed here pass on to the model's provider.",
    "properties": {
        "model": {
            "type": "string",
            "description": "`auto`, `auto:light|medium|heavy`, a model's name, or `provider/model`.",
        },
        "messages": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "stream": {"type": "boolean", "default": False},
        "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
        "max_tokens": {"type": "integer", "minimum": 1},
        "max_completion_tokens": {"type": "integer", "minimum": 1},
        "tools": {"type": "array", "items": {"type": "object"}},
        "thriftgate": {"type": "object", "description": "Options of the gateway; never sent upstream."},
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
_FAILURES = {
    400: "The request cannot be served as written; `param` names the field.",
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
    """Adds the chat and embeddings routes to FastAPI's own document, in place, and returns it."""
    document.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR_SCHEMA
    paths = document.setdefault("paths", {})
    streamed = {"text/event-stream": {"schema": {"type": "string"}}}
    paths["/v1/chat/completions"] = _post("Create a chat completion", _CHAT_REQUEST, streamed)
    paths["/v1/embeddings"] = _post("Create embeddings", _EMBEDDINGS_REQUEST, {})
    return document


def _post(summary: str, schema: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    answer = {"description": "The answer.", "content": {"application/json": {"schema": {"type": "object"}}, **more}}
    failures = {
        str(status): {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for status, text in _FAILURES.items()
    }
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"post": {"summary": summary, "requestBody": body, "responses": {"200": answer, **failures}}}

"""Hooks for schemathesis: random requests, but mostly for models and services that exist, so that they get further than
a 404."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

CHAT = ("auto", "gpt-limited", *os.environ["MODELS"].split(","))


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """The model is a function of the body, so that a failure can be found again."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return body
    if context.operation.path == "/v1/embeddings":
        return {**body, "model": "text-embedding-3-small"}
    return {**body, "model": CHAT[len(str(body)) % len(CHAT)]}


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """Every other service is one that exists, also as a function of what was drawn."""
    if not path_parameters or not context.operation.path.startswith("/v1/thriftgate/services/"):
        return path_parameters
    return {**path_parameters, "name": "clients"} if len(str(path_parameters)) % 2 else path_parameters

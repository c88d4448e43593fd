"""A hook for schemathesis: random bodies, but mostly for models that exist, so that they get further than a 404."""

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

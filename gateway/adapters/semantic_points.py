"""What a stored question looks like in a vector index, whichever engine holds it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from gateway.ports import Match

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def collection_name(engine: str, dimensions: int) -> str:
    """One collection per embedding engine, because cosines between engines mean nothing.

    Safe as a folder and in a URL. A name that had to be rewritten ends in a digest, so two never become one.
    """
    safe = _UNSAFE.sub("_", engine)
    if safe != engine:
        safe = f"{safe}-{hashlib.sha256(engine.encode()).hexdigest()[:8]}"
    return f"thriftgate-{safe}-{dimensions}"


def point_id(scope: str, key: str) -> str:
    """A UUID from both, so that storing a question again replaces it and one scope cannot replace another's."""
    digest = hashlib.sha256(f"{scope}\0{key}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def payload(scope: str, key: str, text: str, expires_at_unix_s: float, owner: str) -> dict[str, Any]:
    """The stored fields; `scope` and `expires_at` are filtered on at every read, `owner` and `key` when forgetting."""
    return {"scope": scope, "key": key, "text": text, "expires_at": expires_at_unix_s, "owner": owner}


def match(fields: Mapping[str, Any] | None, similarity: float) -> Match:
    """The port's word for a found point. Raises KeyError for a point that is not ours."""
    fields = fields or {}
    return Match(key=str(fields["key"]), text=str(fields["text"]), similarity=similarity)

"""JSON as a provider sends it: an object, or UpstreamMalformed."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.core.errors import UpstreamMalformed


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`; blank lines around it are allowed (DeepSeek sends them while a request queues)."""
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamMalformed("The provider's answer is not JSON.", reached=True) from error
    if not isinstance(parsed, dict):
        raise malformed("is not an object")
    return parsed


def malformed(what: str) -> UpstreamMalformed:
    """What is wrong with an answer the provider has accepted and begun, as the end of a sentence."""
    return UpstreamMalformed(f"The provider's answer {what}.", reached=True)

"""An embeddings request and its answer in OpenAI's shape."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.errors import InvalidRequest

MAX_INPUTS = 2_048
"""OpenAI's documented limit of inputs in one request (2026-11)."""

Tokens = list[int]


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """`inputs` are texts, or token lists (which only a provider with that tokenizer can read)."""

    model: str
    inputs: tuple[str | Tokens, ...]
    body: dict[str, Any]
    base64: bool = False
    dimensions: int | None = None


def parse_embeddings(body: object) -> EmbeddingsRequest:
    """Raises InvalidRequest naming the field."""
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object with `model` and `input`.")
    body = {key: value for key, value in body.items() if key != "thriftgate"}
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("`model` must be a non-empty string.", param="model")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise InvalidRequest("`encoding_format` must be float or base64.", param="encoding_format")
    dimensions = body.get("dimensions")
    if dimensions is not None and (not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1):
        raise InvalidRequest("`dimensions` must be an integer of at least 1.", param="dimensions")
    return EmbeddingsRequest(model, _inputs(body.get("input")), body, encoding == "base64", dimensions)


def embeddings_answer(
    request: EmbeddingsRequest, vectors: Sequence[Sequence[float]], model: str, tokens: int
) -> dict[str, Any]:
    """OpenAI's list object; base64 is little-endian float32, as the Python SDK decodes it."""
    rows = [
        {"object": "embedding", "index": at, "embedding": _packed(vector) if request.base64 else list(vector)}
        for at, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": model, "usage": usage}


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _inputs(value: object) -> tuple[str | Tokens, ...]:
    if isinstance(value, str):
        return (_checked(value),)
    if not isinstance(value, list) or not value:
        raise InvalidRequest("`input` must be a string, a list of strings, or tokens; not empty.", param="input")
    if all(_is_token(item) for item in value):
        return (value,)
    if len(value) > MAX_INPUTS:
        raise InvalidRequest(f"`input` may have at most {MAX_INPUTS} entries.", param="input")
    return tuple(_checked(item) for item in value)


def _checked(item: object) -> str | Tokens:
    if isinstance(item, str) and item:
        return item
    if isinstance(item, list) and item and all(_is_token(token) for token in item):
        return item
    raise InvalidRequest("Each `input` must be a non-empty string or a non-empty list of tokens.", param="input")


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

"""Parts of a request that a translating dialect must understand, checked where they are read.

`parse_chat` leaves these to the provider; who rewrites them cannot. Everything here raises InvalidRequest with the
parameter's place; null counts as absent.
"""

from __future__ import annotations

from typing import Any

from gateway.core.errors import InvalidRequest


def objects(value: Any, place: str) -> list[dict[str, Any]]:
    """A list of objects."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidRequest(f"`{place}` must be a list of objects.", param=place)
    return value


def strings(value: Any, place: str) -> list[str]:
    """A string, or a list of them."""
    if value is None:
        return []
    given = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in given):
        raise InvalidRequest(f"`{place}` must be a string or a list of strings.", param=place)
    return given


def number(value: Any, place: str) -> float | None:
    """A number, kept as it came."""
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise InvalidRequest(f"`{place}` must be a number.", param=place)
    return value


def text(value: Any, place: str) -> str:
    """A string; absent is empty."""
    if not isinstance(value, str | None):
        raise InvalidRequest(f"`{place}` must be a string.", param=place)
    return value or ""


def mapping(value: Any, place: str) -> dict[str, Any]:
    """An object; absent is empty."""
    if not isinstance(value, dict | None):
        raise InvalidRequest(f"`{place}` must be an object.", param=place)
    return value or {}

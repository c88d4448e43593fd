"""Which trace a request belongs to, by the header `traceparent` (W3C Trace Context, level 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEADER = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_LONGEST = 512
"""Later versions may append to a header; nobody may append a book."""
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's own span, and whether its trace is kept. Ids are hex, as in the header."""

    trace_id: str
    span_id: str
    sampled: bool


def trace_parent(headers: Mapping[str, str]) -> TraceParent | None:
    """None without the header, or with one that is none: the specification wants it to be passed over then."""
    header = headers.get("traceparent")
    if header is None or len(header) > _LONGEST:
        return None
    found = _HEADER.fullmatch(header.strip())
    if found is None or (header.startswith("00") and len(header.strip()) != 55):
        return None
    return TraceParent(found[1], found[2], bool(int(found[3], 16) & _SAMPLED))

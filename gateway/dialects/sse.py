"""Server-sent events: bytes in any portions to events, and our own frames out.

Read as the WHATWG HTML standard says (section 9.2.6, "Interpreting an event stream"), with three liberties taken
because providers take them: an event left open when the body ends is still told, an unknown field named `error`
counts as an event of that name (llama.cpp's server writes `error: {...}` lines), and `id` and `retry` are not read.
Lines are cut on the bytes, so a character cut in half by the network is whole again before anyone decodes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.errors import UpstreamMalformed

MAX_LINE_BYTES = 1 << 20
"""Longest line, and longest data of one event. Chunks are hundreds of bytes; only a broken provider sends this."""

DONE = b"data: [DONE]\n\n"
_BOM = b"\xef\xbb\xbf"


def encode(frame: Mapping[str, Any]) -> bytes:
    """One of our own frames, ready to send. JSON has no raw line breaks, so one `data:` line is always enough."""
    return b"data: %b\n\n" % orjson.dumps(frame)


def encode_event(name: str, frame: Mapping[str, Any]) -> bytes:
    """The same with an event's name before it, as the APIs want it whose clients dispatch on the name."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(frame) + b"\n\n"


Event = tuple[str, bytes]
"""Name, empty for plain `data:` events; and data, UTF-8 as it came, not yet checked."""


class EventParser:
    """One response body. Raises UpstreamMalformed for a line or an event over MAX_LINE_BYTES."""

    __slots__ = ("_after_cr", "_data", "_data_bytes", "_first", "_name", "_open", "_tail", "_tail_bytes")

    def __init__(self) -> None:
        self._tail: list[bytes] = []  # pieces of the line still open
        self._tail_bytes = 0
        self._after_cr = False  # the last portion ended in CR: a LF that follows belongs to it
        self._first = True
        self._open = False  # an event, a line or the end of one
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, portion: bytes) -> list[Event]:
        """The events that this portion completes."""
        if self._open or portion[:6] != b"data: " or portion[-2:] != b"\n\n" or b"\r" in portion:
            return self._feed_lines(portion)
        inner = portion[6:-2]  # of whole events of a line each, as they nearly always come
        if len(inner) > MAX_LINE_BYTES:
            return self._feed_lines(portion)
        if b"\n" not in inner:
            self._first = False
            return [("", inner)]
        blocks = inner.split(b"\n\ndata: ")
        if inner.count(b"\n") != 2 * len(blocks) - 2:
            return self._feed_lines(portion)
        self._first = False
        return [("", block) for block in blocks]

    def _feed_lines(self, portion: bytes) -> list[Event]:
        if self._after_cr and portion:
            self._after_cr = False
            portion = portion.removeprefix(b"\n")
        if b"\n" not in portion and b"\r" not in portion:
            self._keep(portion)
            self._open = True
            return []
        self._after_cr = portion.endswith(b"\r")
        lines = portion.splitlines(keepends=True)  # on bytes: CR, LF and CRLF only
        rest = b"" if lines[-1].endswith((b"\r", b"\n")) else lines.pop()
        if self._tail:
            lines[0] = b"".join([*self._tail, lines[0]])
            self._tail, self._tail_bytes = [], 0
        events = [event for line in lines if (event := self._line(line.rstrip(b"\r\n"))) is not None]
        self._keep(rest)
        self._open = bool(rest or self._data or self._name or self._after_cr)
        return events

    def close(self) -> list[Event]:
        """The body has ended: the event still open, if any."""
        last = self._line(b"".join(self._tail)) if self._tail else None
        events = [last, self._dispatch()]
        self._tail, self._tail_bytes = [], 0
        return [event for event in events if event is not None]

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._tail.append(piece)
            self._tail_bytes = _bounded(self._tail_bytes + len(piece))

    def _line(self, line: bytes) -> Event | None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        if field in (b"data", b"error"):
            value = value.removeprefix(b" ")
            self._data_bytes = _bounded(self._data_bytes + len(value))
            self._data.append(value)
            if field == b"error":
                self._name = "error"
        elif field == b"event":
            self._name = value.removeprefix(b" ").decode(errors="replace")
        return None

    def _dispatch(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._data_bytes = "", [], 0
        return (name, data[0] if len(data) == 1 else b"\n".join(data)) if data else None


def _bounded(size_bytes: int) -> int:
    if size_bytes > MAX_LINE_BYTES:
        raise UpstreamMalformed(f"The provider sent a line over {MAX_LINE_BYTES} bytes.", reached=True)
    return size_bytes

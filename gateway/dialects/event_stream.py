"""What every provider's stream has in common: events in, chunks out, and an end that must have been said."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gateway.core.chunks import Chunk
from gateway.core.errors import UpstreamCut, UpstreamMalformed
from gateway.dialects.sse import EventParser


class EventStream(ABC):
    """One streamed answer: `dialect.StreamDecoder`, but for `_read`, which turns an event into chunks and sets
    `_done` at the terminal one."""

    __slots__ = ("_done", "_events")

    def __init__(self) -> None:
        self._events = EventParser()
        self._done = False

    def feed(self, data: bytes, chunks: list[Chunk]) -> None:
        """See `dialect.StreamDecoder.feed`. After the terminal event nothing is read any more."""
        for name, text in self._events.feed(data):
            if not self._done:
                chunks += self._read(name, text)

    def close(self, chunks: list[Chunk]) -> None:
        """The body has ended. Raises UpstreamCut unless the terminal event has come; half an event is a cut too."""
        try:
            for name, text in self._events.close():
                if not self._done:
                    chunks += self._read(name, text)
        except UpstreamMalformed as error:
            raise _cut() from error
        if not self._done:
            raise _cut()

    @abstractmethod
    def _read(self, name: str, data: bytes) -> list[Chunk]:
        """The chunks of one event."""


def _cut() -> UpstreamCut:
    return UpstreamCut("The provider's answer ended before it was finished.", reached=True)

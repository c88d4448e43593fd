"""What every provider's stream has in common: events in, chunks out, and an end that must have been said."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from gateway.core.chunks import Chunk
from gateway.core.errors import UpstreamCut, UpstreamMalformed
from gateway.dialects.sse import Event, EventParser


class EventStream(ABC):
    """One streamed answer: `dialect.StreamDecoder`, but for `_read`, which turns an event into chunks and sets
    `_done` at the terminal one."""

    __slots__ = ("_done", "_events")

    def __init__(self) -> None:
        self._events = EventParser()
        self._done = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """The chunks that `data` completes, each before an error behind it. Raises UpstreamError."""
        return self._chunks(self._events.feed(data))

    def close(self) -> Iterator[Chunk]:
        """The body has ended. Raises UpstreamCut unless the terminal event has come; half an event is a cut too."""
        try:
            yield from self._chunks(self._events.close())
        except UpstreamMalformed as error:
            raise _cut() from error
        if not self._done:
            raise _cut()

    def _chunks(self, events: list[Event]) -> Iterator[Chunk]:
        """After the terminal event nothing is read any more."""
        for event in events:
            if not self._done:
                yield from self._read(event)

    @abstractmethod
    def _read(self, event: Event) -> list[Chunk]:
        """The chunks of one event."""


def _cut() -> UpstreamCut:
    return UpstreamCut("The provider's answer ended before it was finished.", reached=True)

"""How an answer is written for a client: the seam between OpenAI chunks, which the gateway speaks inside, and an API.

A rendering is made with its request, because some APIs echo it. Both of its forms tell the same answer: what a client
assembles from a stream is what it would have been given whole, where the API's own rules allow it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk, Completion
from gateway.core.errors import ThriftgateError
from gateway.core.frozen import value


class StreamRendering(Protocol):
    """One streamed answer being written. Single use; every method returns bytes ready to send, which may be none."""

    def frame(self, chunk: Chunk) -> bytes:
        """The next chunk, which others read as well. Raises UpstreamMalformed for chunks in an
        order that the API cannot express."""

    def end(self) -> bytes:
        """The answer is whole."""

    def failure(self, error: ThriftgateError) -> bytes:
        """The answer broke off: a well-formed error, and no sign of a good end."""


class Rendering(Protocol):
    """One answer, in either form."""

    @property
    def as_is(self) -> bool:
        """Whether the whole answer is the completion itself, which then need not be read to be sent."""

    def whole(self, completion: Completion) -> dict[str, Any]:
        """The answer as the API's JSON object."""

    def stream(self) -> StreamRendering: ...


@value(frozen=True, slots=True)
class Served:
    """A client's request in the gateway's own words. `dropped` names its hints that nothing here can take."""

    chat: ChatRequest
    rendering: Rendering
    dropped: tuple[str, ...] = ()


Read = Callable[[object, Mapping[str, str], str], Served]
"""From a JSON body, headers (names in lower case) and the request's id. Raises InvalidRequest naming the field."""

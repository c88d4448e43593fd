"""What a wire dialect is: pure functions between a `ChatRequest`, bytes, and OpenAI chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk, Completion, Mend
from gateway.core.errors import UpstreamError
from gateway.core.frozen import value
from gateway.core.profile import Profile


@value(frozen=True, slots=True)
class Target:
    """Where a request is going: the provider's own model name, what that model accepts, and our limits.

    `max_output_tokens` is set when the gateway itself must bound the answer (a budget hold does); None leaves
    the client's limit, or the model's maximum, in force.
    """

    model: str
    profile: Profile
    max_output_tokens: int | None = None

    def output_limit(self, asked: int | None) -> int | None:
        """The smallest of what the client asked for, what we allow and what the model can write at all; None when
        neither the client nor we set a limit."""
        ours, most = self.max_output_tokens, self.profile.max_output_tokens
        limit = ours if asked is None or (ours is not None and ours < asked) else asked
        return most if limit is not None and most is not None and most < limit else limit


@value(frozen=True, slots=True)
class WireRequest:
    """One HTTP POST, without host and credentials. `dropped` names hints the model cannot take; `mend` makes the whole
    answer what the client asked for, where the provider cannot."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    dropped: tuple[str, ...] = ()
    mend: Mend | None = None


class StreamDecoder(Protocol):
    """Bytes in any portions → chunks, as early as possible. One instance per answer."""

    def feed(self, data: bytes, chunks: list[Chunk]) -> None:
        """Append the chunks that `data` completes. Raises UpstreamError for an error event or a malformed one; the
        chunks before it are appended all the same: what the client hears and what is charged must not depend on how
        the network cut the bytes."""

    def close(self, chunks: list[Chunk]) -> None:
        """The body has ended: append what is left. Raises UpstreamCut when the terminal event never came."""


class Dialect(Protocol):
    """One provider's language. Stateless; every method is pure."""

    def credentials(self, api_key: str | None) -> Mapping[str, str]:
        """The headers that authenticate us (and pin the API version, where there is one)."""

    def encode(self, chat: ChatRequest, target: Target) -> WireRequest:
        """The provider's request. Raises UnsupportedParameter naming what changes meaning and cannot be mapped."""

    def decode(self, body: bytes) -> Completion:
        """A whole answer. Raises UpstreamMalformed."""

    def decoder(self) -> StreamDecoder:
        """A fresh decoder for one streamed answer."""

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """What a refusal means. Header names are lower case. The provider's text is kept only where it is about
        the client's own request; never keys, never HTML."""

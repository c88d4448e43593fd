"""One HTTP POST to a provider: what every transport promises, whichever client is underneath.

No redirects (they would carry the key to another host), no proxy, no decompression (a gzip bomb is refused, not
inflated), and bytes as they come. Vendor exceptions never leave a transport: `post` raises UpstreamUnreachable,
UpstreamTimeout (connect) and UpstreamCut, the body raises UpstreamCut and UpstreamMalformed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.core.errors import UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from gateway.core.frozen import value

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """A head that has arrived, and a body that may still be on its way. Header names are lower case. `read` waits for
    what comes of the body, and says None at its end."""

    status: int
    headers: Mapping[str, str]
    read: Callable[[], Awaitable[bytes | None]]


@value(frozen=True, slots=True)
class Whole:
    """A response that has arrived. Header names are lower case. The body of a refusal is empty where it could not be
    read or is over MAX_ERROR_BYTES: its status counts all the same."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends requests over pooled connections. Safe for many requests at once."""

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> AbstractAsyncContextManager[Response]:
        """Entered means a head has arrived. Leaving (or being cancelled) before the body is read to its end closes
        the connection at once; otherwise it goes back to the pool."""

    async def exchange(self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float) -> Whole:
        """A request and its whole response. Being cancelled closes the connection at once."""

    async def close(self) -> None:
        """Close all connections."""


def accepted(status: int) -> bool:
    """Whether the provider has taken the request."""
    return 200 <= status < 300


def max_bytes(status: int) -> int:
    """How much of a response of this status is read."""
    return MAX_BODY_BYTES if accepted(status) else MAX_ERROR_BYTES


def unreachable(reason: str) -> UpstreamUnreachable:
    """Nothing was sent."""
    return UpstreamUnreachable(f"The provider could not be reached: {reason}.")


def connect_timeout(connect_s: float) -> UpstreamTimeout:
    """No connection within `connect_s`, so nothing was sent."""
    return UpstreamTimeout(f"No connection to the provider within {connect_s:g} s (connect).")


def cut() -> UpstreamCut:
    """The connection broke after the request was sent: it may have been billed."""
    return UpstreamCut("The provider closed the connection before its answer was complete.", reached=True)


def refuse_encoding(headers: Mapping[str, str]) -> None:
    """Raises UpstreamMalformed for a compressed body, which nobody asked for."""
    if "content-encoding" in headers and headers["content-encoding"].strip().lower() not in ("", "identity"):
        raise UpstreamMalformed("The provider sent a compressed body, which was not asked for.", reached=True)


def too_large(limit_bytes: int) -> UpstreamMalformed:
    return UpstreamMalformed(f"The provider's answer is larger than {limit_bytes} bytes.", reached=True)


async def read_whole(response: Response, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. Raises UpstreamMalformed when it is larger than `max_bytes`."""
    parts: list[bytes] = []
    size = 0
    while (part := await response.read()) is not None:
        size += len(part)
        if size > max_bytes:
            raise too_large(max_bytes)
        parts.append(part)
    return b"".join(parts)


async def read_refusal(response: Response) -> bytes:
    """What a refusal says, or nothing where that cannot be read."""
    try:
        return await read_whole(response, MAX_ERROR_BYTES)
    except UpstreamError:
        return b""

"""One HTTP POST to a provider: what every transport promises, whichever client is underneath.

No redirects (they would carry the key to another host), no proxy, no decompression (a gzip bomb is refused, not
inflated), and bytes as they come. Vendor exceptions never leave a transport: `post` raises UpstreamUnreachable,
UpstreamTimeout (connect) and UpstreamCut, the body raises UpstreamCut and UpstreamMalformed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.core.errors import UpstreamCut, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable

MAX_BODY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """A head that has arrived, and a body that may still be on its way. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Transport(Protocol):
    """Sends requests over pooled connections. Safe for many requests at once."""

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> AbstractAsyncContextManager[Response]:
        """Entered means a head has arrived. Leaving (or being cancelled) before the body is read to its end closes
        the connection at once; otherwise it goes back to the pool."""

    async def close(self) -> None:
        """Close all connections."""


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
    encoding = headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UpstreamMalformed("The provider sent a compressed body, which was not asked for.", reached=True)


async def read_whole(response: Response, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. Raises UpstreamMalformed when it is larger than `max_bytes`."""
    parts: list[bytes] = []
    size = 0
    async for part in response.body:
        size += len(part)
        if size > max_bytes:
            raise UpstreamMalformed(f"The provider's answer is larger than {max_bytes} bytes.", reached=True)
        parts.append(part)
    return b"".join(parts)

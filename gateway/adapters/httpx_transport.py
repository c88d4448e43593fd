"""The reference transport: httpx. Slow (2 ms of CPU a request on a busy pool), and the one to trust when in doubt."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

import httpx

from gateway.adapters.transport import (
    Response,
    Whole,
    accepted,
    connect_timeout,
    cut,
    read_refusal,
    read_whole,
    refuse_encoding,
    unreachable,
)
from gateway.core.errors import UpstreamError, UpstreamMalformed


class HttpxTransport:
    """Never reads proxies from the environment. Deadlines but the first are the caller's."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60)
        self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, limits=limits)

    @asynccontextmanager
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> AsyncIterator[Response]:
        timeout = httpx.Timeout(None, connect=connect_s)
        request = self._client.build_request("POST", url, headers=dict(headers), content=body, timeout=timeout)
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _translate(error, connect_s) from error
        try:
            refuse_encoding(answer.headers)
            async with aclosing(_body(answer, connect_s)) as incoming:
                yield Response(answer.status_code, answer.headers, lambda: anext(incoming, None))
        finally:
            await answer.aclose()

    async def exchange(self, url: str, headers: Mapping[str, str], body: bytes, connect_s: float) -> Whole:
        async with self.post(url, headers, body, connect_s) as response:
            read = read_whole if accepted(response.status) else read_refusal
            return Whole(response.status, response.headers, await read(response))

    async def close(self) -> None:
        await self._client.aclose()


async def _body(answer: httpx.Response, connect_s: float) -> AsyncGenerator[bytes, None]:
    try:
        async for part in answer.aiter_raw():
            yield part
    except httpx.HTTPError as error:
        raise _translate(error, connect_s) from error


def _translate(error: httpx.HTTPError, connect_s: float) -> UpstreamError:
    """httpx's exceptions in our words."""
    match error:
        case httpx.ConnectTimeout():
            return connect_timeout(connect_s)
        case httpx.ConnectError() | httpx.UnsupportedProtocol():
            return unreachable(type(error).__name__)
        case httpx.RemoteProtocolError() if "peer closed" not in str(error) and "disconnected" not in str(error):
            return UpstreamMalformed("The provider did not speak HTTP.", reached=True)
    return cut()

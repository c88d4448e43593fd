"""A bare client for the loopback's own tests: no SDK and no gateway in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.loopback.server import Upstream


async def ask(
    upstream: Upstream, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """POST a chat body; `headers` replace the correct credentials."""
    async with opened(upstream, body, headers) as response:
        await response.aread()
    return response


@asynccontextmanager
async def opened(
    upstream: Upstream, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.Response]:
    """The same, with the body still to be read."""
    url = f"http://127.0.0.1:{upstream.port}{min(upstream.flavour.chat_paths)}"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = upstream.flavour.credentials() if headers is None else headers
    async with (
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
        client.stream("POST", url, content=content, headers=dict(sent)) as response,
    ):
        yield response


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON of every event but `[DONE]`."""
    lines = response.text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: [DONE]"]

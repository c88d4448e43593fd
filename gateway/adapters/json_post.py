"""JSON posted to an address outside that nobody waits for: alerts, traces."""

from __future__ import annotations

import logging

import httpx

_TIMEOUT_S = 5.0
_FAILED = 400


class JsonPost:
    """`complaint` is logged, with the reason, when the address begins to refuse: once, until it takes one again. The
    address may carry a token: it is never logged."""

    def __init__(self, url: str, complaint: str) -> None:
        self._url = url
        self._complaint = complaint
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)
        self._failing = False

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, body: bytes) -> bool:
        """Whether it was taken. Never raises."""
        try:
            answer = await self._client.post(self._url, content=body, headers={"content-type": "application/json"})
            failure = f"HTTP {answer.status_code}" if answer.status_code >= _FAILED else ""
        except httpx.HTTPError as error:
            failure = type(error).__name__  # its message may name the address
        if failure and not self._failing:
            logging.getLogger("thriftgate").warning("%s: %s", self._complaint, failure)
        self._failing = bool(failure)
        return not failure

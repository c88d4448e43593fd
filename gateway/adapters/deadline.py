"""The four deadlines of one attempt, each around a single await: none is held across a yield."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal, TypeVar

from gateway.core.deadlines import Deadlines
from gateway.core.errors import UpstreamTimeout

T = TypeVar("T")
Phase = Literal["first token", "between tokens", "total"]


class AttemptClock:
    """Counts from its creation, on the loop's monotonic clock.

    `first_token_s` runs until `token()` is called for the first time, then `between_tokens_s` from each call;
    `total_s` bounds everything. Whatever is not a token (a keep-alive, a head) stops no deadline.
    """

    def __init__(self, deadlines: Deadlines, *, whole: bool) -> None:
        """`whole`: the answer comes in one piece, so that only `total_s` can be held against it."""
        self.connect_s = deadlines.connect_s
        self._now_s = asyncio.get_running_loop().time
        started_s = self._now_s()
        self._between_s = deadlines.between_tokens_s
        self._total_at_s = started_s + deadlines.total_s
        self._phase: Phase = "total" if whole else "first token"
        self._at_s = self._total_at_s if whole else min(started_s + deadlines.first_token_s, self._total_at_s)
        self._limits_s = {
            "first token": deadlines.first_token_s,
            "between tokens": deadlines.between_tokens_s,
            "total": deadlines.total_s,
        }

    def token(self) -> None:
        """A token has been handed on: the wait for the next one begins now."""
        next_at_s = self._now_s() + self._between_s
        self._phase = "between tokens" if next_at_s < self._total_at_s else "total"
        self._at_s = min(next_at_s, self._total_at_s)

    async def wait_for(self, awaitable: Awaitable[T], *, reached: bool = True) -> T:
        """Raises UpstreamTimeout naming the deadline. `reached`: the provider may already have billed."""
        try:
            async with asyncio.timeout_at(self._at_s):
                return await awaitable
        except TimeoutError as error:
            limit_s = self._limits_s[self._phase]
            raise UpstreamTimeout(
                f"The provider missed a deadline of {limit_s:g} s ({self._phase}).", reached=reached
            ) from error

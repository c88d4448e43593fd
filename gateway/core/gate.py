"""Whether one model at one host may be asked now: a pause that it asked for, and a breaker on its failures.

Theory of operation. A refusal with `retry-after` (429, 503, 529) shuts the gate for that long, for every request of
this process: nothing is sent before, because the host has said what would come of it. Failures that say the service
is ill count in the breaker: no connection, no answer in time, a 5xx, an answer that is cut or makes no sense. What is
about the one request says nothing of the service: a 4xx, an answer that misses the client's schema, a client that
left. One good answer starts the count again. An open breaker is closed by the first token of any answer, and by a
refusal that is about the request: whoever says no is well enough to say it.

Who finds the gate shut gets the error that the host would have given, with the seconds that are left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.breaker import Breaker
from gateway.core.errors import (
    UpstreamAuth,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamQueued,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamSchemaMismatch,
)

_NO_ILLNESS = (UpstreamRejected, UpstreamAuth, UpstreamRateLimited, UpstreamSchemaMismatch, UpstreamQueued)
_SERVER_ERROR = 500


@dataclass(slots=True)
class Gate:
    """Mutable, without a clock: the caller brings the time, in seconds of any monotonic clock."""

    breaker: Breaker
    _paused_until_s: float = field(default=0.0, init=False)
    _paused_by: UpstreamError | None = field(default=None, init=False)

    @property
    def is_clear(self) -> bool:
        """Nothing is held against it, so the time need not be looked at."""
        return self._paused_by is None and self.breaker.is_closed

    def refusal(self, now_s: float) -> UpstreamError | None:
        """Why nothing may be sent now, with `retry_after_s`; None when something may. Asking claims nothing."""
        wait_s = self.breaker.wait_s(now_s)
        pause_s = self._paused_until_s - now_s
        if pause_s <= 0:
            self._paused_by = None
        elif self._paused_by is not None and pause_s >= wait_s:
            return _again(self._paused_by, pause_s)
        if wait_s > 0:
            return UpstreamOverloaded(
                "The provider has failed repeatedly and is not asked for a while.", retry_after_s=wait_s, asked=False
            )
        return None

    def enter(self, now_s: float) -> None:
        """Something is sent now, nothing having been refused. Of a half-open breaker this takes the probe."""
        if not self.breaker.is_closed:
            self.breaker.allows(now_s)

    def answered(self) -> bool:
        """The first token has come, or a refusal that `says_well`. True when this closed the breaker."""
        return not self.breaker.is_closed and self.breaker.succeeded()

    def ended(self) -> None:
        """The answer was whole. One that began long ago says nothing of a service that is ill now."""
        if self.breaker.is_closed:
            self.breaker.succeeded()

    def failed(self, error: UpstreamError, now_s: float) -> bool:
        """True when this opened the breaker."""
        if error.retry_after_s:
            self._paused_until_s = max(self._paused_until_s, now_s + error.retry_after_s)
            self._paused_by = error
        return says_ill(error) and self.breaker.failed(now_s)


def says_ill(error: UpstreamError) -> bool:
    """Whether a failure is the service's own, and not about the one request."""
    if isinstance(error, _NO_ILLNESS):
        return False
    return error.upstream_status is None or error.upstream_status >= _SERVER_ERROR


def says_well(error: UpstreamError) -> bool:
    """Whether a refusal is the answer of a service that works: it has read the request and has a status for it."""
    return not says_ill(error) and error.upstream_status is not None


def _again(error: UpstreamError, wait_s: float) -> UpstreamError:
    return type(error)(error.message, retry_after_s=wait_s, upstream_status=error.upstream_status, asked=False)

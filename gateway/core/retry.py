"""After a failed attempt: the same model again, or leave it.

Theory of operation. Retries happen only before the first chunk. One layer retries: the clients inside have none, and
the caller's SDK will retry on its own, so attempts are few. Another host of the same provider is asked at once. A
provider that says when to come back is obeyed: if its `retry-after` is longer than we may wait, it is not asked again.
Waits have full jitter (AWS Builders' Library), the random number being passed in, so that this module stays pure.

Whether the same host may be asked again at all is not decided here: `core.retry_budget` bounds it over all requests.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`per_model` attempts at one model in all; waits grow from `base_s` by doubling, never beyond `cap_s`."""

    per_model: int = 2
    base_s: float = 0.25
    cap_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Again:
    """Ask the same model again, after so many seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Leave:
    """Do not ask this model again. Whether another may do better is `error.try_next`."""


def after_failure(
    policy: RetryPolicy, error: UpstreamError, tried: int, fallbacks: int, hosts: int, jitter: float
) -> Again | Leave:
    """`tried` attempts at this model so far (>= 1), `fallbacks` models left after it, `hosts` that could be
    asked for it and were not, `jitter` uniform in [0, 1).

    Each host is asked once, whatever `per_model` says. With another model at hand a rate-limited or timed-out one is
    left at once: waiting costs the client more.
    """
    if error.try_host and hosts:
        return Again(0.0)
    if error.try_again and tried < policy.per_model and not (fallbacks and _is_slow(error)):
        wait_s = min(policy.cap_s, policy.base_s * 2 ** (tried - 1)) * jitter
        if error.retry_after_s is None:
            return Again(wait_s)
        if error.retry_after_s <= policy.cap_s:
            return Again(error.retry_after_s + wait_s)
    return Leave()


def _is_slow(error: UpstreamError) -> bool:
    return error.retry_after_s is not None or error.status in (429, 504)

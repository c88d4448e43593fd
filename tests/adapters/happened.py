"""Events for tests of those who listen."""

from __future__ import annotations

from gateway.core.events import RequestFinished
from gateway.core.savings import CauseSaved
from gateway.core.usage import Usage

ANSWERED = RequestFinished(
    request_id="req_1",
    endpoint="chat",
    service="shop",
    outcome="ok",
    status=200,
    stream=False,
    tier="light",
    model="flash",
    provider="deep",
    cache="miss",
    attempts=1,
    usage=Usage(100, 20, cache_read_tokens=30, cache_write_tokens=10),
    cost_nano_usd=250_000_000,
    saved_nano_usd=750_000_000,
    saved_by="tier",
    duration_s=0.2,
    first_token_s=0.03,
    baseline="opus",
    baseline_nano_usd=1_000_000_000,
    savings=(CauseSaved("tier", 750_000_000),),
)

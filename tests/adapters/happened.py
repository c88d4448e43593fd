"""Events for tests of those who listen."""

from __future__ import annotations

from decimal import Decimal

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
    cost_usd=Decimal("0.25"),
    saved_usd=Decimal("0.75"),
    saved_by="tier",
    duration_s=0.2,
    first_token_s=0.03,
    baseline="opus",
    baseline_usd=Decimal(1),
    savings=(CauseSaved("tier", 750_000_000),),
)

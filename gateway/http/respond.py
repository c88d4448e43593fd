"""Turns an answer into a response: the only place that tells SSE from JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import orjson

from gateway.core.errors import ThriftgateError
from gateway.dialects.served.api import bug
from gateway.dialects.served.rendering import Rendering
from gateway.flow.call import Call, Trail
from gateway.flow.pipeline import Answer, Pipeline
from gateway.http.departure import Departure
from gateway.http.exchange import Exchange, stopping
from gateway.ports import Standing

_SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}
_JSON = {"content-type": "application/json"}
logger = logging.getLogger("thriftgate")


async def respond(exchange: Exchange, pipeline: Pipeline, call: Call, rendering: Rendering) -> None:
    """Serve one call. A failure before the first chunk is a real HTTP status; the caller's task is cancelled, and the
    upstream closed, when the client leaves."""
    with exchange.departure() as departure:
        try:
            async with pipeline.serve(call, departure) as answer:
                if call.chat.stream:
                    await _stream(exchange, answer, departure, rendering)
                else:
                    await _whole(exchange, answer, departure, rendering)
        except ThriftgateError as error:
            departure.disarm()
            await exchange.fail(error)


async def _whole(exchange: Exchange, answer: Answer, departure: Departure, rendering: Rendering) -> None:
    body = await answer.json() if rendering.as_is else orjson.dumps(rendering.whole(await answer.whole()))
    departure.disarm()
    await exchange.respond(200, {**_JSON, **_facts(answer.trail), **_money(answer.trail)}, body)


async def _stream(exchange: Exchange, answer: Answer, departure: Departure, rendering: Rendering) -> None:
    trail = answer.trail
    # What a miss will cost is not known before its end; a hit's cost is.
    known = _money(trail) if trail.cache in ("hit", "semantic-hit") else {}
    await exchange.start(200, {**_SSE, **_facts(trail), **known})
    writing = rendering.stream()
    try:
        while chunks := await answer.more():
            frames: list[bytes] = []
            try:
                for chunk in chunks:
                    frames.append(writing.frame(chunk))
            finally:  # a chunk that cannot be told does not take those before it along
                await exchange.write(b"".join(frames))
        last = writing.end()
    except asyncio.CancelledError:
        if not departure.left:
            await exchange.write(writing.failure(stopping()), more=False)
        raise
    except ThriftgateError as error:
        trail.failed(error)
        last = writing.failure(error)
    except Exception:
        trail.outcome = "internal_error"
        logger.exception("request %s broke in its stream", exchange.id)
        last = writing.failure(bug())
    departure.disarm()
    await exchange.write(last, more=False)


def _facts(trail: Trail) -> dict[str, str]:
    """What is known when the answer begins."""
    headers = {"x-thriftgate-cache": trail.cache, "x-thriftgate-attempts": str(trail.attempts)}
    if trail.plan is not None:
        headers["x-thriftgate-tier"] = trail.plan.tier
        headers["x-thriftgate-route-reason"] = "; ".join(trail.route_reasons())
    if trail.model is not None:
        headers["x-thriftgate-model"] = trail.model.name
        headers["x-thriftgate-provider"] = trail.model.provider
    if trail.review is not None:
        headers["x-thriftgate-review"] = str(trail.review)
    if trail.stepped_down:
        headers["x-thriftgate-stepped-down"] = trail.stepped_down
    if trail.standings:
        headers |= _standing(trail.standings)
    if trail.cache_reason:
        headers["x-thriftgate-cache-reason"] = trail.cache_reason
    if trail.cache_key:
        headers["x-thriftgate-cache-key"] = trail.cache_key
        headers["x-thriftgate-cache-age"] = str(max(0, int(trail.cache_age_s)))
    if trail.similarity is not None:
        headers["x-thriftgate-similarity"] = f"{trail.similarity:.4f}"
    dropped = trail.call.dropped + trail.dropped
    if dropped:
        headers["x-thriftgate-dropped-params"] = ",".join(dropped)
    return headers


def _standing(standings: Sequence[Standing]) -> dict[str, str]:
    """Of the budget that is nearest its limit."""
    nearest = max(standings, key=lambda standing: standing.budget.used_share(standing.used))
    used = nearest.budget.used_share(nearest.used)
    return {
        "x-thriftgate-budget": nearest.budget.ladder.level(used) or "ok",
        "x-thriftgate-budget-used": f"{used:.4f}",
        "x-thriftgate-budget-account": f"{nearest.budget.account}/{nearest.budget.rule.kind}",
    }


def _money(trail: Trail) -> dict[str, str]:
    """What is known when the answer has ended."""
    account = trail.account()
    headers = {
        "x-thriftgate-cost-usd": usd(trail.cost_nano_usd),
        "x-thriftgate-saved-usd": usd(account.net_nano_usd),
    }
    if account.baseline is not None:
        headers["x-thriftgate-baseline-model"] = account.baseline
    if trail.answered.source == "estimated":
        headers["x-thriftgate-usage"] = "estimated"
    return headers


def usd(nano_usd: int) -> str:
    """Dollars with all nine decimals a nano-dollar has."""
    if nano_usd < 0:
        return f"-{usd(-nano_usd)}"
    return f"{nano_usd // 1_000_000_000}.{nano_usd % 1_000_000_000:09d}"

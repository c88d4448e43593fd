"""Turns an answer into a response: the only place that tells SSE from JSON."""

from __future__ import annotations

import logging
from contextlib import aclosing

import orjson

from gateway.core.chunks import Chunk
from gateway.core.errors import ThriftgateError
from gateway.core.pricing import to_nano
from gateway.dialects.sse import DONE, encode
from gateway.flow.call import Call, Trail
from gateway.flow.pipeline import Answer, Pipeline
from gateway.http.exchange import Departure, Exchange, error_body

_SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}
_JSON = {"content-type": "application/json"}
_BROKEN = b'{"error":{"message":"The gateway failed.","type":"server_error","param":null,"code":null}}'
logger = logging.getLogger("thriftgate")


async def answer_chat(exchange: Exchange, pipeline: Pipeline, call: Call) -> None:
    """Serve one call. A failure before the first chunk is a real HTTP status; the caller's task is cancelled, and the
    upstream closed, when the client leaves."""
    async with exchange.departure() as departure:
        try:
            async with pipeline.serve(call) as answer:
                if call.chat.stream:
                    await _stream(exchange, answer, departure)
                else:
                    await _whole(exchange, answer, departure)
        except ThriftgateError as error:
            departure.disarm()
            await exchange.fail(error)


async def _whole(exchange: Exchange, answer: Answer, departure: Departure) -> None:
    completion = await answer.whole()
    departure.disarm()
    await exchange.respond(200, _JSON | _facts(answer.trail) | _money(answer.trail), orjson.dumps(completion))


async def _stream(exchange: Exchange, answer: Answer, departure: Departure) -> None:
    trail = answer.trail
    # What a miss will cost is not known before its end; a hit's cost is.
    known = _money(trail) if trail.cache in ("hit", "semantic-hit") else {}
    await exchange.start(200, _SSE | _facts(trail) | known)
    try:
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                if _shown(chunk, trail.call.chat.include_usage):
                    await exchange.write(encode(chunk))
        last = DONE
    except ThriftgateError as error:
        last = b"data: " + error_body(error) + b"\n\n"
    except Exception:
        logger.exception("request %s broke in its stream", exchange.id)
        last = b"data: " + _BROKEN + b"\n\n"
    departure.disarm()
    await exchange.write(last, more=False)


def _shown(chunk: Chunk, include_usage: bool) -> bool:
    """Whether a client sees this chunk. Upstream is always asked for usage; a client that did not ask sees no trace of
    it, because many index `choices[0]`. One that did sees `usage: null` on all chunks but the last."""
    if not chunk.get("choices"):
        return include_usage and chunk.get("usage") is not None
    if include_usage:
        chunk["usage"] = None
    else:
        chunk.pop("usage", None)
    return True


def _facts(trail: Trail) -> dict[str, str]:
    """What is known when the answer begins."""
    headers = {"x-thriftgate-cache": trail.cache, "x-thriftgate-attempts": str(trail.attempts)}
    if trail.plan is not None:
        headers["x-thriftgate-tier"] = trail.plan.tier
        headers["x-thriftgate-route-reason"] = "; ".join(trail.plan.reasons)
    if trail.model is not None:
        headers["x-thriftgate-model"] = trail.model.name
        headers["x-thriftgate-provider"] = trail.model.provider
    if trail.similarity is not None:
        headers["x-thriftgate-similarity"] = f"{trail.similarity:.4f}"
    if trail.dropped:
        headers["x-thriftgate-dropped-params"] = ",".join(trail.dropped)
    return headers


def _money(trail: Trail) -> dict[str, str]:
    """What is known when the answer has ended."""
    saving = trail.saving()
    headers = {
        "x-thriftgate-cost-usd": usd(to_nano(trail.cost_usd)),
        "x-thriftgate-saved-usd": usd(to_nano(saving.usd)),
    }
    if saving.baseline is not None:
        headers["x-thriftgate-baseline-model"] = saving.baseline
    return headers


def usd(nano_usd: int) -> str:
    """Dollars with all nine decimals a nano-dollar has."""
    return f"{nano_usd // 1_000_000_000}.{nano_usd % 1_000_000_000:09d}"

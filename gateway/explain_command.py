"""`thriftgate explain`: which model a prompt would be sent to by a configuration, and why. Starts and asks nothing."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from gateway.adapters.clock import SystemClock
from gateway.adapters.genai_price_book import price_of
from gateway.catalog import build_catalogs
from gateway.core.chat import parse_chat
from gateway.core.errors import ThriftgateError
from gateway.core.explanation import Candidate, Explanation
from gateway.core.options import parse_options
from gateway.core.service import Service
from gateway.flow.routing import Routing, RoutingMemory
from gateway.routing_policies import Router
from gateway.service_catalog import anonymous, build_services
from gateway.settings import Loaded

EXPLAIN_ERRORS = (ThriftgateError, OSError, ValueError)
"""What keeps a prompt from being explained: those of a request, and of what cannot be read."""


def explain(loaded: Loaded, arguments: argparse.Namespace) -> str:
    """Raises EXPLAIN_ERRORS, and ConfigError."""
    body = _body(arguments)
    explanation = _explained(loaded, body, arguments.service, arguments.weights)
    if arguments.json:
        return orjson.dumps(explanation.as_json(), option=orjson.OPT_INDENT_2).decode()
    lines = [*in_words(explanation)]
    if arguments.weights is not None:
        configured = _explained(loaded, body, arguments.service, None)
        lines.append(f"as configured: {_headline(configured)}")
    return "\n".join(lines)


def in_words(explanation: Explanation) -> Iterator[str]:
    yield _headline(explanation)
    yield from (f"  {reason}" for reason in explanation.plan.reasons)
    forecast = explanation.forecast
    if forecast is not None:
        weighs = "the policy goes by this" if explanation.decides else "the policy does not go by this"
        yield (
            f"forecast: a light answer will do with {100 * forecast.probability:.0f} %, expected gain "
            f"{forecast.gain:.3f}, trust {forecast.trust:.2f}; {weighs}"
        )
        yield from (f"  {reason}" for reason in forecast.reasons)
    yield f"models, for about {explanation.prompt_tokens} tokens in and the usual answer"
    yield from map(_line, explanation.candidates)


def _headline(explanation: Explanation) -> str:
    first = explanation.plan.attempts[0].name
    return f"{explanation.plan.tier}: {first}, for service {explanation.service} by {explanation.policy}"


def _line(candidate: Candidate) -> str:
    place = f"{candidate.place}." if candidate.place else "-"
    why = "" if candidate.place else f"  {'; '.join(candidate.in_the_way)}"
    return f"  {place:<3} {candidate.model.tier:<7} {candidate.model.name:<26} ${candidate.expected_usd:.6f}{why}"


def _explained(loaded: Loaded, body: object, service: str | None, weights: Path | None) -> Explanation:
    router = Router(loaded, weights)
    clock = SystemClock()
    catalog = build_catalogs(loaded, price_of).chat
    routing = Routing(catalog, dict, router.foresee, RoutingMemory(), clock, router.classify)
    whose = _whose(loaded, router, service)
    return asyncio.run(routing.explain(parse_chat(body), parse_options({}, body), whose, clock.unix_s()))


def _whose(loaded: Loaded, router: Router, name: str | None) -> Service:
    services = build_services(loaded, router.policy) or {"default": anonymous(loaded, router.policy)}
    if name is None and len(services) == 1:
        return next(iter(services.values()))
    if name not in services:
        raise ValueError(f"name one of the services with --service: {', '.join(services)}")
    return services[name]


def _body(arguments: argparse.Namespace) -> Any:
    if arguments.request is None:
        return {"model": arguments.model, "messages": [{"role": "user", "content": arguments.prompt}]}
    read = sys.stdin.buffer.read() if arguments.request == "-" else Path(arguments.request).read_bytes()
    return orjson.loads(read)

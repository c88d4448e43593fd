"""What would happen to a request, and why: nobody is asked, and it costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import orjson
from fastapi import FastAPI, Request
from pydantic import BaseModel

from gateway.core.errors import AdminOnly, InvalidRequest
from gateway.core.options import parse_options
from gateway.core.service import Service
from gateway.dialects.served.chat import read_chat
from gateway.flow.routing import Routing
from gateway.http.openapi import CHAT_REQUEST
from gateway.http.service_routes import service_named
from gateway.http.serving import Now, Serving
from gateway.ports import Clock


class PolicyView(BaseModel):
    """`version` names weights and settings together; empty where they decide nothing."""

    kind: Literal["rules", "quality_target", "shares"]
    version: str
    quality_target: float | None
    shares: dict[str, float] | None
    value_of_second_usd: float


class ForecastView(BaseModel):
    """`light_will_do` is a probability, `expected_gain` how much better the strongest tier's answer would be (-1 to 1).
    `trust` is how far that was learned, and `decides` whether the policy goes by it for this prompt."""

    expected_gain: float
    light_will_do: float
    trust: float
    decides: bool
    reasons: list[str]


class CandidateView(BaseModel):
    """`place` 1 is asked first; null is not asked, and `in_the_way` says why. `expected_usd` is at the price of now."""

    place: int | None
    model: str
    provider: str
    tier: str
    expected_usd: str
    latency_s: float
    in_the_way: list[str]


class AssumedView(BaseModel):
    prompt_tokens: int
    most_output_tokens: int


class ExplanationView(BaseModel):
    """`forecast` is null for a prompt without text."""

    object: Literal["thriftgate.explanation"]
    service: str
    tier: str
    pinned: bool
    reasons: list[str]
    policy: PolicyView
    forecast: ForecastView | None
    candidates: list[CandidateView]
    assumed: AssumedView


_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": CHAT_REQUEST}},
    }
}


def add_explain_route(app: FastAPI, now: Now, routing: Callable[[], Routing], clock: Clock) -> None:
    @app.post(
        "/v1/thriftgate/explain",
        summary="Which models a chat request would be sent to, and why; asks nobody and costs nothing",
        responses={400: {}, 401: {}, 403: {}, 404: {}, 413: {}, 503: {}},
        openapi_extra=_BODY,
    )
    async def explain(request: Request, service: str | None = None) -> ExplanationView:
        whose = _whose(request, now(), service)
        body = _json(await request.body())
        served = read_chat(body, request.headers, "explain")
        options = parse_options(request.headers, body)
        explanation = await routing().explain(served.chat, options, whose, clock.unix_s())
        return ExplanationView.model_validate(explanation.as_json())


def _whose(request: Request, serving: Serving, name: str | None) -> Service:
    """A key's own service; the operator may name any. Raises Unauthenticated, AdminOnly, InvalidRequest, NotFound."""
    if serving.keyring.is_admin(request.headers):
        if name is None and len(serving.services) > 1:
            raise InvalidRequest("With the admin key, add `?service=` and a service's name.", param="service")
        return service_named(serving, name or next(iter(serving.services)))
    own = serving.keyring.service(request.headers)
    if name not in (None, own.name):
        raise AdminOnly("With this key only its own service is explained; others need the admin key.")
    return own


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error

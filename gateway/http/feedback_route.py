"""What an answer was worth, told by who asked for it."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import orjson
from fastapi import FastAPI, Request
from pydantic import BaseModel

from gateway.core.errors import InvalidRequest
from gateway.core.events import Rated
from gateway.http.serving import Now
from gateway.ports import Observer

_ID = re.compile(r"[\w.:-]{1,128}")
_WORDS = {"up": 1.0, "down": 0.0}
_FIELDS = frozenset({"request_id", "score", "comment"})
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["request_id", "score"],
                    "additionalProperties": False,
                    "properties": {
                        "request_id": {"type": "string", "description": "The answer's `x-request-id`."},
                        "score": {
                            "oneOf": [
                                {"type": "number", "minimum": 0, "maximum": 1},
                                {"type": "string", "enum": ["up", "down"]},
                            ]
                        },
                        "comment": {"type": "string", "description": "Accepted, and not kept."},
                    },
                }
            }
        },
    }
}


class FeedbackView(BaseModel):
    object: Literal["thriftgate.feedback"] = "thriftgate.feedback"
    request_id: str
    service: str
    score: float
    verdict: Literal["up", "down"]


def add_feedback_route(app: FastAPI, now: Now, observer: Observer) -> None:
    @app.post(
        "/v1/thriftgate/feedback",
        summary="Say what an answer was worth, 0 to 1 or up or down; of several for one request the last counts",
        responses={400: {}, 401: {}, 413: {}},
        openapi_extra=_BODY,
    )
    async def feedback(request: Request) -> FeedbackView:
        service = now().keyring.service(request.headers)
        rated = read_feedback(await request.body(), service.name)
        observer.tell(rated)
        return FeedbackView(
            request_id=rated.request_id, service=rated.service, score=rated.score, verdict=rated.verdict
        )


def read_feedback(body: bytes, service: str) -> Rated:
    """Raises InvalidRequest, which names the field and the mend."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error
    if not isinstance(said, dict):
        raise InvalidRequest('The body must be an object: {"request_id": "req_…", "score": "up"}.')
    if unknown := sorted(said.keys() - _FIELDS):
        raise InvalidRequest(f"There is no field `{unknown[0]}`; send request_id and score.", param=unknown[0])
    request_id = said.get("request_id")
    if not isinstance(request_id, str) or not _ID.fullmatch(request_id):
        raise InvalidRequest("`request_id` must be the `x-request-id` of an answer.", param="request_id")
    score = _score(said.get("score"))
    return Rated(request_id, service, score, "up" if score >= 0.5 else "down")


def _score(said: Any) -> float:
    if isinstance(said, str) and said in _WORDS:
        return _WORDS[said]
    if isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said) and 0 <= said <= 1:
        return float(said)
    raise InvalidRequest('`score` must be a number from 0 to 1, or "up" or "down".', param="score")

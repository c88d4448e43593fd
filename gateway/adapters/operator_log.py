"""What an operator must read: failures and degradations, one JSON object a line. No prompts, no keys, no answers."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import orjson

from gateway.core.events import (
    AttemptFailed,
    BreakerClosed,
    BreakerOpened,
    Degraded,
    Event,
    Overshoot,
    Recovered,
    Reloaded,
    RequestFinished,
    SemanticClosed,
    Stored,
)

_SERVER_ERROR = 500


class OperatorLog:
    """Implements `ports.Observer`. Writes to the logger `thriftgate`; a healthy request writes nothing."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("thriftgate")

    def tell(self, event: Event) -> None:
        if isinstance(event, Stored) or (isinstance(event, RequestFinished) and event.status < _SERVER_ERROR):
            return  # nearly all there is to hear
        match event:
            case Degraded():
                self._write(logging.WARNING, "degraded", component=event.component, detail=event.detail)
            case Recovered():
                self._write(logging.INFO, "recovered", component=event.component)
            case AttemptFailed():
                self._write(
                    logging.WARNING,
                    "attempt failed",
                    request_id=event.request_id,
                    provider=event.provider,
                    model=event.model,
                    code=event.error_code,
                )
            case BreakerOpened():
                self._write(logging.ERROR, "breaker opened", **asdict(event))
            case BreakerClosed():
                self._write(logging.INFO, "breaker closed", **asdict(event))
            case Overshoot():
                self._write(logging.ERROR, "budget overshoot", **asdict(event))
            case SemanticClosed():
                self._write(logging.ERROR, "semantic layer closed", **asdict(event))
            case Reloaded(ok=False):
                self._write(logging.ERROR, "reload refused", detail=event.detail)
            case RequestFinished():
                self._write(
                    logging.ERROR,
                    "request failed",
                    request_id=event.request_id,
                    service=event.service,
                    status=event.status,
                    code=event.error_code,
                )
            case _:
                pass

    def _write(self, level: int, message: str, **fields: Any) -> None:
        self._logger.log(level, "%s", orjson.dumps({"event": message, **fields}).decode())

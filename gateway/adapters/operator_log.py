"""What an operator must read: failures and degradations, one JSON object a line. No prompts, no keys, no answers."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson

from gateway.adapters.observers import Selective
from gateway.core.events import (
    AttemptFailed,
    BreakerClosed,
    BreakerOpened,
    Degraded,
    Overshoot,
    Recovered,
    Reloaded,
    RequestFinished,
    SemanticClosed,
)

_SERVER_ERROR = 500
_Whole = BreakerOpened | BreakerClosed | Overshoot | SemanticClosed
"""Written with all they have."""


class OperatorLog(Selective):
    """Implements `ports.Observer`. Writes to the logger `thriftgate`; a healthy request writes nothing."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("thriftgate")
        self.hears = {
            RequestFinished: self._finished,
            Degraded: self._degraded,
            Recovered: self._recovered,
            AttemptFailed: self._attempt_failed,
            BreakerOpened: partial(self._all_of, logging.ERROR, "breaker opened"),
            BreakerClosed: partial(self._all_of, logging.INFO, "breaker closed"),
            Overshoot: partial(self._all_of, logging.ERROR, "budget overshoot"),
            SemanticClosed: partial(self._all_of, logging.ERROR, "semantic layer closed"),
            Reloaded: self._reloaded,
        }

    def _finished(self, event: RequestFinished) -> None:
        if event.status < _SERVER_ERROR:
            return  # nearly all there is to hear
        self._write(
            logging.ERROR,
            "request failed",
            request_id=event.request_id,
            service=event.service,
            status=event.status,
            code=event.error_code,
        )

    def _degraded(self, event: Degraded) -> None:
        self._write(logging.WARNING, "degraded", component=event.component, detail=event.detail)

    def _recovered(self, event: Recovered) -> None:
        self._write(logging.INFO, "recovered", component=event.component)

    def _attempt_failed(self, event: AttemptFailed) -> None:
        self._write(
            logging.WARNING,
            "attempt failed",
            request_id=event.request_id,
            provider=event.provider,
            model=event.model,
            code=event.error_code,
        )

    def _reloaded(self, event: Reloaded) -> None:
        if not event.ok:
            self._write(logging.ERROR, "reload refused", detail=event.detail)

    def _all_of(self, level: int, message: str, event: _Whole) -> None:
        self._write(level, message, **asdict(event))

    def _write(self, level: int, message: str, **fields: Any) -> None:
        self._logger.log(level, "%s", orjson.dumps({"event": message, **fields}).decode())

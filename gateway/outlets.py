"""Who hears of what happens only because the configuration asks for it: alerts, the request log, traces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gateway.adapters.otel import Traces
from gateway.adapters.request_log import RequestLog
from gateway.adapters.webhook import Webhook
from gateway.ports import Clock, Observer
from gateway.settings import Settings


class Outlet(Observer, Protocol):
    """An observer with work of its own behind."""

    def start(self) -> None: ...

    async def stop(self) -> None:
        """What it has heard is on its way, as far as that can be done soon."""


def outlets(settings: Settings, clock: Clock) -> tuple[Outlet, ...]:
    return tuple(_wanted(settings, clock))


def _wanted(settings: Settings, clock: Clock) -> Iterator[Outlet]:
    if settings.alerts.webhook_url is not None:
        yield Webhook(settings.alerts.webhook_url)
    telemetry = settings.telemetry
    if telemetry.otlp_endpoint is not None:
        yield Traces(telemetry.otlp_endpoint, telemetry.sample_share, clock)
    if settings.log.requests != "off":
        yield RequestLog(None if settings.log.requests == "stderr" else Path(settings.log.requests), clock)

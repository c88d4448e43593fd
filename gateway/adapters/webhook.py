"""Posts alerts to one configured address, behind the request, in a form that chat services' incoming webhooks read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from gateway.adapters.behind import Behind
from gateway.adapters.json_post import JsonPost
from gateway.adapters.observers import Selective
from gateway.core.alerts import ALERTS, Alert
from gateway.core.events import Event

PAUSE_S = 1.0
_MOST_WAITING = 100


class Webhook(Selective):
    """Implements `ports.Observer`. `text` is what Slack, Mattermost and their like show; `event` and `facts` are for
    programs. Each is posted at least once: an address that does not take it is asked again every second; of more
    than a hundred that wait the oldest are dropped. The address carries a token: it is never logged."""

    def __init__(self, url: str, *, pause_s: float = PAUSE_S) -> None:
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._to = JsonPost(url, "the alert webhook does not take alerts")
        self._behind = Behind(self._post_waiting, pause_s=pause_s)
        self.hears = {kind: partial(self._heard, alert_of) for kind, alert_of in ALERTS.items()}

    def start(self) -> None:
        self._behind.start()

    async def stop(self) -> None:
        await self._behind.stop()
        await self._to.close()

    def _heard(self, alert_of: Callable[[Any], Alert], event: Event) -> None:
        alert = alert_of(event)
        body = {"text": f"Thriftgate: {alert.text}", "event": alert.name, "facts": alert.facts}
        self._waiting.append(orjson.dumps(body))
        self._behind.wake()

    async def _post_waiting(self) -> bool:
        while self._waiting:
            body = self._waiting[0]
            if not await self._to.send(body):
                return False
            if self._waiting and self._waiting[0] is body:  # not pushed out meanwhile
                self._waiting.popleft()
        return True

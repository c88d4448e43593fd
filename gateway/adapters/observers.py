"""A fixed tuple of listeners that hear every event, in order."""

from __future__ import annotations

import logging

from gateway.core.events import Event
from gateway.ports import Observer


class Observers:
    """Implements `ports.Observer`. One that fails is logged and harms neither the others nor the request."""

    def __init__(self, *listeners: Observer) -> None:
        self._listeners = listeners

    def tell(self, event: Event) -> None:
        for listener in self._listeners:
            try:
                listener.tell(event)
            except Exception:  # the border between what happened and who is interested
                logging.getLogger("thriftgate").exception("an observer failed on %s", type(event).__name__)

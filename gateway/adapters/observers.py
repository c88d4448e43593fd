"""A fixed tuple of listeners that hear every event, in order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.core.events import Event
from gateway.ports import Observer


class Observers:
    """Implements `ports.Observer`. One that fails is logged and harms neither the others nor the request."""

    def __init__(self, *listeners: Observer) -> None:
        self._tells = tuple(tell for listener in listeners for tell in _tells(listener))

    def tell(self, event: Event) -> None:
        for tell in self._tells:
            try:
                tell(event)
            except Exception:  # the border between what happened and who is interested
                logging.getLogger("thriftgate").exception("an observer failed on %s", type(event).__name__)


def _tells(listener: Observer) -> tuple[Callable[[Event], None], ...]:
    return listener._tells if isinstance(listener, Observers) else (listener.tell,)

"""A fixed tuple of listeners that hear every event, in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, get_args

from gateway.core.events import Event
from gateway.ports import Observer

Hear = Callable[[Any], None]
"""Takes an event of one kind."""


class Selective:
    """Implements `ports.Observer` for who hears some kinds of events only: `hears` says which, and who takes each.
    Of all others nothing is called."""

    hears: Mapping[type[object], Hear]

    def tell(self, event: Event) -> None:
        hear = self.hears.get(type(event))
        if hear is not None:
            hear(event)


class Observers:
    """Implements `ports.Observer`. One that fails is logged and harms neither the others nor the request."""

    def __init__(self, *listeners: Observer) -> None:
        self._listeners = tuple(each for listener in listeners for each in _each(listener))
        self._hear = {kind: tuple(_hear(self._listeners, kind)) for kind in get_args(Event)}

    def tell(self, event: Event) -> None:
        for hear in self._hear[type(event)]:
            try:
                hear(event)
            except Exception:  # the border between what happened and who is interested
                logging.getLogger("thriftgate").exception("an observer failed on %s", type(event).__name__)


def _each(listener: Observer) -> tuple[Observer, ...]:
    return listener._listeners if isinstance(listener, Observers) else (listener,)


def _hear(listeners: tuple[Observer, ...], kind: type[object]) -> list[Hear]:
    """Of all who hear such an event, in their order."""
    chosen = [listener.hears.get(kind) if isinstance(listener, Selective) else listener.tell for listener in listeners]
    return [hear for hear in chosen if hear is not None]

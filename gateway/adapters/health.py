"""One component's health, told when it changes and not at each request."""

from __future__ import annotations

from gateway.core.events import Component, Degraded, Recovered
from gateway.ports import Observer


class Health:
    """Tells `Degraded` at the first of several troubles and `Recovered` when none is left."""

    def __init__(self, component: Component, observer: Observer) -> None:
        self._component: Component = component
        self._observer = observer
        self._troubles: set[str] = set()

    def broken(self, trouble: str, detail: str) -> None:
        """`trouble` is the name it is mended under; `detail` is for an operator: no keys, no values."""
        well = not self._troubles
        self._troubles.add(trouble)
        if well:
            self._observer.tell(Degraded(self._component, f"{trouble}: {detail}"))

    def mended(self, trouble: str) -> None:
        if trouble not in self._troubles:
            return
        self._troubles.remove(trouble)
        if not self._troubles:
            self._observer.tell(Recovered(self._component))

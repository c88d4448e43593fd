"""Who may come in: first the key, then the limits of its service. Nothing of the body has been read then."""

from __future__ import annotations

from gateway.core.errors import LimitExceeded
from gateway.core.events import Endpoint
from gateway.core.limits import Rate
from gateway.core.service import Service
from gateway.flow.call import turned_away
from gateway.http.auth import Keyring
from gateway.http.exchange import Exchange
from gateway.ports import Clock, Door, Entry, Observer


class Entrance:
    """Where every request to a model comes in and goes out again."""

    def __init__(self, keyring: Keyring, door: Door, observer: Observer, clock: Clock) -> None:
        self._keyring = keyring
        self._door = door
        self._observer = observer
        self._clock = clock

    def service(self, exchange: Exchange) -> Service:
        """Who is calling, where nothing is limited. Raises Unauthenticated."""
        return self._keyring.service(exchange.headers)

    async def enter(self, exchange: Exchange, endpoint: Endpoint) -> tuple[Service, Entry | None]:
        """Who is calling; from here on the request counts as running, until its entry `leave`s. None: nothing of it is
        limited. Raises Unauthenticated and LimitExceeded, and tells of the latter: the request gets no further."""
        service = self._keyring.service(exchange.headers)
        if not service.limits:
            return service, None
        started_s = self._clock.monotonic_s()
        try:
            entry = await self._door.enter(exchange.id, service)
        except LimitExceeded as refusal:
            self._tell_limits(exchange, refusal.rate)
            took_s = self._clock.monotonic_s() - started_s
            self._observer.tell(turned_away(exchange.id, endpoint, service, refusal, took_s))
            raise
        self._tell_limits(exchange, entry.rate)
        return service, entry

    def leave(self, entry: Entry | None) -> None:
        """Once for each that has entered."""
        if entry is not None:
            self._door.leave(entry)

    def _tell_limits(self, exchange: Exchange, rate: Rate | None) -> None:
        if rate is not None:
            exchange.limit_headers = exchange.api.limit_headers(rate, self._clock.unix_s())

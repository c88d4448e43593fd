"""The limits of services at the door, in Redis: one Lua call to come in. The rules are told in `core/limits.py`.

Leaving costs the request nothing. A slot is given back behind it, at once; and until Redis has confirmed that, each
entry of the same service takes the news along, so a client that asks again as soon as it has its answer finds its slot
free. What Redis never hears of ends with its lease. Renewing and giving back take turns, so that a renewal cannot
overtake the end of its request.

When Redis does not answer, a request is let in by this process's own count, kept of everything it has let in before:
a single gateway goes on limiting itself, and of R gateways each lets in what one may. Their requests of that time are
not in Redis's minute afterwards; their slots are, from the next renewal on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from gateway.adapters.behind import Behind
from gateway.adapters.lua_script import LuaScript
from gateway.adapters.redis_client import TIMEOUT_S, NotAsked, RedisClient, RedisTrouble
from gateway.adapters.redis_keys import door_keys
from gateway.adapters.redis_link import RedisLink
from gateway.core import limits
from gateway.core.breaker import Breaker
from gateway.core.errors import LimitExceeded
from gateway.core.limits import NO_LIMITS, Answer, DoorState, Limits
from gateway.core.service import Service
from gateway.ports import Clock, Entry, Observer

LEASE_S = 30.0
# A process needs no lease for its own slots: if it dies, its count is gone as well. A thousand years.
_WHILE_ALIVE_MS = 31_536_000_000_000
# Of one service; those that do not fit end with their leases.
_MOST_LEAVING = 1_000
# Nobody knows when a running request will end. A second is short for a person and long for a server.
_ASK_AGAIN_S = 1.0


class RedisDoor:
    """Implements `ports.Door`. Between `start` and `stop` it renews what is inside and gives back what has left.

    `lease_s` is how long a slot outlives a gateway that was killed. `server_ms` is for tests: it replaces the server's
    clock.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        observer: Observer,
        *,
        lease_s: float = LEASE_S,
        timeout_s: float = TIMEOUT_S,
        breaker: Breaker | None = None,
        server_ms: Callable[[], int] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._lease_ms = int(lease_s * 1000)
        self._server_ms = server_ms
        self._link = RedisLink(client, "limits", clock, observer, timeout_s=timeout_s, breaker=breaker)
        self._script = LuaScript(self._link, "door")
        self._own: dict[str, DoorState] = {}
        self._leaving: dict[str, dict[str, None]] = {}
        self._taking_turns = asyncio.Lock()
        self._giving_back = Behind(self._give_back, pause_s=0)
        self._renewing = Behind(self._renew, pause_s=lease_s / 3)

    def start(self) -> None:
        self._link.start()
        self._giving_back.start()
        self._renewing.start()

    async def stop(self) -> None:
        """Give back what has left, once. The client is not closed."""
        await self._renewing.stop()
        await self._giving_back.stop()
        await self._link.stop()

    async def renew(self) -> None:
        """Renew now the leases of what is inside."""
        await self._renewing.flush()

    async def give_back(self) -> None:
        """Give back now the slots of what has left."""
        await self._giving_back.flush()

    async def enter(self, id: str, service: Service) -> Entry:
        if not service.limits:
            return Entry(id, service.name)
        answer = await self._answer(id, service)
        rate = answer.rate(service.limits)
        if answer.refused_by is not None:
            raise _refusal(service, answer)
        self._renewing.wake()
        return Entry(id, service.name, rate)

    def leave(self, entry: Entry) -> None:
        state = self._own.get(entry.service)
        if state is not None and entry.id in state.slots:
            self._own[entry.service] = limits.leave(state, [entry.id])
            self._give_back_soon(entry.service, entry.id)

    async def _answer(self, id: str, service: Service) -> Answer:
        """Redis's, and what it lets in is counted here as well; or this process's own when Redis gives none."""
        try:
            answer = await self._ask(id, service.name, service.limits)
        except RedisTrouble as trouble:
            answer = self._own_answer(id, service.name, service.limits)
            if answer.refused_by is not None and not isinstance(trouble, NotAsked):
                self._give_back_soon(service.name, id)  # it may have come in all the same
            return answer
        except asyncio.CancelledError:
            self._give_back_soon(service.name, id)
            raise
        if answer.refused_by is None:
            self._own_answer(id, service.name, NO_LIMITS)
        return answer

    def _own_answer(self, id: str, service: str, of: Limits) -> Answer:
        now_ms = int(self._clock.monotonic_s() * 1000)
        state = self._own.get(service, DoorState())
        self._own[service], answer = limits.enter(state, id, of, now_ms, _WHILE_ALIVE_MS)
        return answer

    async def _ask(self, id: str, service: str, of: Limits) -> Answer:
        """Raises RedisTrouble."""
        numbers = (of.requests_per_minute or "", of.concurrency or "")
        refused_by, *counts = await self._run("enter", service, id, *numbers, *self._leaving.get(service, ()))
        return Answer(refused_by.decode() or None, *counts)

    def _give_back_soon(self, service: str, id: str) -> None:
        leaving = self._leaving.setdefault(service, {})
        leaving[id] = None
        if len(leaving) > _MOST_LEAVING:
            del leaving[next(iter(leaving))]
        self._giving_back.wake()

    async def _give_back(self) -> bool:
        """Always done: what could not be said is said with the next entry, end or renewal."""
        async with self._taking_turns:
            for service, leaving in list(self._leaving.items()):
                ids = tuple(leaving)
                try:
                    await self._link.call("write", partial(self._client.zrem, door_keys(service).slots, *ids))
                except RedisTrouble:
                    return True
                self._confirm(service, ids)
        return True

    def _confirm(self, service: str, ids: Collection[str]) -> None:
        leaving = self._leaving[service]
        for gone in ids:
            leaving.pop(gone, None)
        if not leaving:
            del self._leaving[service]

    async def _renew(self) -> bool:
        """True when nobody is inside any longer, and nothing is left to say."""
        async with self._taking_turns:
            inside = {service: tuple(state.slots) for service, state in self._own.items() if state.slots}
            for service, ids in inside.items():
                try:
                    await self._run("keep", service, *ids)
                except RedisTrouble:
                    return False
        await self._give_back()
        return not inside and not self._leaving

    async def _run(self, operation: str, service: str, *args: str | int) -> Any:
        """One call of the script. Raises RedisTrouble. Repeating it is harmless: the door knows the id."""
        keys = door_keys(service)
        now_ms = "" if self._server_ms is None else self._server_ms()
        arguments = (keys.admitted, keys.slots, operation, now_ms, self._lease_ms, *args)
        return await self._script.run(2, *arguments)


def _refusal(service: Service, answer: Answer) -> LimitExceeded:
    """What is full, how to have more of it, and when to come again."""
    rate = answer.rate(service.limits)
    if answer.refused_by == "requests_per_minute":
        retry_after_s = answer.retry_ms / 1000
        return LimitExceeded(
            f"Service {service.name!r} may make {service.limits.requests_per_minute} requests a minute "
            f"(`limits.requests_per_minute`); there is room for the next one in {retry_after_s:g} s.",
            retry_after_s=retry_after_s,
            rate=rate,
        )
    return LimitExceeded(
        f"Service {service.name!r} may make {service.limits.concurrency} requests at once (`limits.concurrency`), and "
        "so many are running; wait until one of them has ended.",
        retry_after_s=_ASK_AGAIN_S,
        rate=rate,
    )

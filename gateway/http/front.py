"""What the server is given: the hot routes are answered here, everything else by FastAPI behind.

FastAPI costs about 50 µs a request that chat completions need not pay (PERFORMANCE study, 2026-11-23).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from gateway.core.errors import MethodNotAllowed, ThriftgateError
from gateway.dialects.served.api import OPENAI, Api
from gateway.http.behind import Asgi, Receive, Scope, Send, answer_behind
from gateway.http.exchange import ClientLeft, Exchange, stopping

Handler = Callable[[Exchange], Awaitable[None]]
logger = logging.getLogger("thriftgate")
_SETTLE_S = 5.0


class Lifetime(Protocol):
    """What starts before the first request and stops after the last."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Route:
    """What answers at a path, and in whose API: its errors look so before anything has been read."""

    handle: Handler
    api: Api = OPENAI


class Front:
    """`routes` maps a path to its route (POST only); `behind` is the FastAPI application. `routes` may be exchanged at
    any time: a request is answered, to its end, by the one it came to. `in_flight` counts the requests that are on hot
    routes now."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        behind: Asgi,
        lifetime: Lifetime,
    ) -> None:
        self.routes = routes
        self.in_flight = 0
        self._last_left: asyncio.Event | None = None
        self._behind = behind
        self._lifetime = lifetime

    async def answer(self, exchange: Exchange) -> None:
        """Whatever happens; without an end only if it must break off what it has started."""
        route = self.routes.get(exchange.path)
        try:
            if route is None:
                await answer_behind(self._behind, exchange)
                return
            exchange.api = route.api
            if exchange.method != "POST":
                raise MethodNotAllowed(f"{exchange.path} takes POST, not {exchange.method}.")
            self.in_flight += 1
            try:
                await route.handle(exchange)
            finally:
                self.in_flight -= 1
                if self._last_left is not None and not self.in_flight:
                    self._last_left.set()
        except ThriftgateError as error:
            await exchange.fail(error)
        except ClientLeft:
            pass
        except asyncio.CancelledError:  # the server's: its patience with who runs at its stop is over
            if not exchange.started:
                await exchange.fail(stopping())
        except Exception:
            logger.exception("request %s failed", exchange.id)
            if not exchange.started:
                await exchange.crash()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's lifespan. A start that fails is reported to the server, which then exits."""
        if scope["type"] != "lifespan":
            raise RuntimeError("requests come through `answer`; start uvicorn with http=Connection")
        await receive()
        try:
            await self._lifetime.start()
        except Exception as error:
            logger.error("thriftgate: cannot start: %s", error)
            await send({"type": "lifespan.startup.failed"})
            await self._lifetime.stop()
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._emptied()
        await self._lifetime.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _emptied(self) -> None:
        """The server cancels who outlasts its patience and does not wait for them; they still count and settle."""
        self._last_left = asyncio.Event()
        if self.in_flight:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._last_left.wait(), _SETTLE_S)

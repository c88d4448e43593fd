"""How a component talks to Redis: a bounded number of commands at once, a bounded wait for each, and a breaker.

While the breaker is open no request pays for asking: a task of the link's own sends a PING twice in each `open_s`, and
an answer closes the breaker. Where that task is not running, requests probe, one in each `open_s`.

A time-out that our own busy loop caused is asked again, once, and says nothing against Redis; so every command given
here must be harmless to repeat.

A refusal (out of memory, read-only) does not open the breaker: it came at once, so asking costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

from redis.exceptions import NoScriptError

from gateway.adapters.behind import Behind
from gateway.adapters.health import Health
from gateway.adapters.redis_client import (
    TIMEOUT_S,
    NotAsked,
    PipelinedRedis,
    RedisClient,
    RedisTrouble,
    Refused,
    Unanswered,
    translate,
)
from gateway.adapters.redis_wire import Word
from gateway.core.breaker import Breaker
from gateway.core.events import Component
from gateway.ports import Clock, Observer

T = TypeVar("T")

# A time-out noticed this much too late says that our own loop was busy, not that Redis was: the reply may have lain
# there unread. (Measured 2026-11: 1,000 holds begun in one turn of the loop, Redis idle: 6 such time-outs.)
_LATE = 1.1
# Enough to keep one Redis busier than one Python process can (8 replies a millisecond), and few enough that opening
# them all at once fits in one time-out: with 16, up to 5 of the first 200 calls of a cold process did not. The others
# wait here, where the clock of a command has not started.
_AT_ONCE = 8


class RedisLink:
    """One component's way to Redis. Every failure is a `RedisTrouble`."""

    def __init__(
        self,
        client: RedisClient,
        component: Component,
        clock: Clock,
        observer: Observer,
        *,
        timeout_s: float = TIMEOUT_S,
        breaker: Breaker | None = None,
    ) -> None:
        self._client = client
        self._wire = client.wire() if isinstance(client, PipelinedRedis) else None
        self._clock = clock
        self._timeout_s = timeout_s
        self._breaker = breaker or Breaker()
        self._health = Health(component, observer)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._prober = Behind(self._probe, pause_s=self._breaker.open_s / 2)

    @property
    def health(self) -> Health:
        return self._health

    @property
    def is_closed(self) -> bool:
        """Whether Redis is believed to answer."""
        return self._breaker.is_closed

    def wait_s(self) -> float:
        """Seconds until it is worth asking again."""
        return self._breaker.wait_s(self._clock.monotonic_s())

    async def call(
        self, what: Literal["read", "write"], command: Callable[[], Awaitable[T]], *, twice: bool = False
    ) -> T:
        """The command's reply, within the time-out, or within two of them if no answer is to be asked for `twice`.

        Raises NotAsked, Unanswered or Refused.
        """
        if self._breaker.is_open(self._clock.monotonic_s()):
            raise NotAsked("the breaker is open")
        async with self._slots:
            if not self._breaker.allows(self._clock.monotonic_s()):
                raise NotAsked("the breaker opened")
            return await self._ask(what, command, twice)

    def ask(self, what: Literal["read", "write"], *words: Word, twice: bool = False) -> Coroutine[Any, Any, Any]:
        """As `call`, for a command that requests wait for: where there is one connection for these, it has the time-out
        and the patience with a busy loop, and nobody waits for a slot. Raises NoScriptError too."""
        if self._wire is None:
            return self.call(what, lambda: self._client.execute_command(*words), twice=twice)
        return self._ask_wire(what, (words,), twice)

    async def ask_all(self, what: Literal["read", "write"], commands: Sequence[tuple[Word, ...]]) -> None:
        """The same for several commands, whose replies are of no interest unless one is refused."""
        if self._wire is not None:
            await self._ask_wire(what, commands, twice=False)
            return
        pipeline = self._client.pipeline(transaction=False)
        for words in commands:
            pipeline.execute_command(*words)
        await self.call(what, pipeline.execute)

    async def _ask_wire(self, what: str, commands: Sequence[tuple[Word, ...]], twice: bool) -> Any:
        assert self._wire is not None
        if not self._breaker.is_closed and not self._breaker.allows(self._clock.monotonic_s()):
            raise NotAsked("the breaker is open")
        try:
            reply = await self._wire.send_all(commands)
        except NoScriptError:
            self._answered()
            raise
        except Exception as error:  # the border, as in `_ask`
            trouble = translate(error)
            if twice and isinstance(trouble, Unanswered):
                return await self._ask_wire(what, commands, twice=False)
            self._note(what, trouble)
            raise trouble from error
        self._answered()
        self._health.mended(f"{what} refused")
        return reply

    def start(self) -> None:
        self._prober.start()

    async def stop(self) -> None:
        await self._prober.stop()

    async def _ask(self, what: str, command: Callable[[], Awaitable[T]], twice: bool = False) -> T:
        try:
            reply = await self._in_time(command, twice)
        except NoScriptError:
            self._answered()
            raise
        except Exception as error:  # the border: whatever redis-py raises is one of three things above it
            trouble = translate(error)
            self._note(what, trouble)
            raise trouble from error
        self._answered()
        self._health.mended(f"{what} refused")
        return reply

    async def _in_time(self, command: Callable[[], Awaitable[T]], twice: bool) -> T:
        asked_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await command()
        except Exception as error:
            we_were_late = self._clock.monotonic_s() - asked_s > _LATE * self._timeout_s
            if not (twice or we_were_late) or not isinstance(translate(error), Unanswered):
                raise
        async with asyncio.timeout(self._timeout_s):
            return await command()

    def _note(self, what: str, trouble: Exception) -> None:
        if isinstance(trouble, Refused):
            self._answered()
            self._health.broken(f"{what} refused", str(trouble))
        elif self._breaker.failed(self._clock.monotonic_s()):
            self._prober.wake()
            self._health.broken("no answer", str(trouble))

    def _answered(self) -> None:
        if self._breaker.succeeded():
            self._health.mended("no answer")

    async def _probe(self) -> bool:
        """True when the breaker is closed, by this PING or before it."""
        if not self._breaker.is_closed:
            try:
                await self._ask("read", self._client.ping)
            except RedisTrouble:
                return self._breaker.is_closed
        return True

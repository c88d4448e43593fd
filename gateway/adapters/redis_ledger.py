"""The ledger in Redis: one Lua call to hold, one to settle. The rules are told in `core/budget.py`.

The server's clock decides which window it is. A key's name contains its window, and Redis Cluster wants the keys named
by the caller, so the caller names the window it believes in; if the server is in another one, it answers with
its time and the caller asks once more, knowing from then on how far apart the clocks are.

A hold that got no answer may have been made: it is released behind, by settling it with nothing. That id is over;
whoever tries again takes a new one.

Services without a budget are only counted, by calendar month, behind the request: at most the last `_LINGER_S`
of their spend is lost if this process is killed. A service given a monthly budget starts with what it has
spent since the month began; with a budget of another window it starts that window's sums.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from gateway.adapters.behind import Behind
from gateway.adapters.redis_client import TIMEOUT_S, NotAsked, RedisClient, RedisTrouble, Refused, Unanswered
from gateway.adapters.redis_keys import budget_expires_at_s, meter_keys
from gateway.adapters.redis_link import RedisLink
from gateway.adapters.settlement_backlog import Settlement, SettlementBacklog
from gateway.core.breaker import Breaker
from gateway.core.budget import (
    LATE_MS,
    MAX_LIMIT,
    NOTHING,
    SETTLED_KEPT_MS,
    Amount,
    Bid,
    Budget,
    Kind,
    Payer,
)
from gateway.core.errors import BudgetExceeded, LedgerUnavailable
from gateway.core.events import Overshoot
from gateway.core.window import Window
from gateway.ports import Clock, Hold, Observer, Standing

_LINGER_S = 1.0
# The first answer may say that it is another window; a second time means that the window turned in between.
_WINDOW_TRIES = 3
_KIND: dict[bytes, Kind] = {b"tokens": "tokens", b"nano_usd": "nano_usd"}
_UNIT: dict[Kind, str] = {"tokens": "token", "nano_usd": "dollar"}


class RedisLedger:
    """Implements `ports.Ledger`. Between `start` and `stop` a task of its own writes what could not be written at once.

    `lease_s` is how long a hold may stay unsettled before it counts as a crash: the total deadline of a request and
    some slack. `server_ms` is for tests: it replaces the server's clock.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        observer: Observer,
        *,
        lease_s: float,
        timeout_s: float = TIMEOUT_S,
        max_waiting: int = 10_000,
        breaker: Breaker | None = None,
        server_ms: Callable[[], int] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._observer = observer
        self._lease_s = lease_s
        self._server_ms = server_ms
        self._ahead_s = 0.0
        self._script = files("gateway.adapters").joinpath("lua/ledger.lua").read_text()
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()  # EVALSHA's name for it
        self._link = RedisLink(client, "ledger", clock, observer, timeout_s=timeout_s, breaker=breaker)
        self._backlog = SettlementBacklog(max_waiting)
        self._behind = Behind(self._write_waiting, pause_s=_LINGER_S)

    @property
    def waiting(self) -> int:
        """Writes that Redis has not confirmed yet."""
        return len(self._backlog)

    @property
    def given_up(self) -> int:
        """Settlements lost because too many waited; their holds are charged in full."""
        return self._backlog.given_up

    @property
    def is_behind(self) -> bool:
        """Whether Redis has not confirmed something that it was told, or that it cannot be told now."""
        return self._backlog.is_behind

    def before_batches(self, tell: Callable[[Hold, Amount], None]) -> None:
        """From now on `tell` hears of each batch of spend that was never reserved before Redis does: a hold with the
        batch's own id, and the sum."""
        self._backlog.before_batches(tell)

    def recount(self, batch: Hold, actual: Amount) -> None:
        """Count a batch of a process that is gone, unless Redis has counted it, and knows it still (LATE_MS)."""
        self._write_later(Settlement(batch, actual, counts=True))

    def start(self) -> None:
        self._link.start()
        self._behind.start()

    async def stop(self) -> bool:
        """Write what is waiting, once. False when some of it could not be written. The client is not closed."""
        written = await self._behind.stop()
        await self._link.stop()
        return written

    async def flush(self) -> bool:
        """Write now what is waiting. True when nothing is left."""
        return await self._behind.flush()

    async def hold(self, id: str, payer: Payer, bid: Bid, share: float = 1.0) -> Hold:
        amount = bid.amount(bid.most_output_tokens)
        hold = self._open(id, payer, amount, bid.most_output_tokens)
        if not payer.is_limited:
            return hold
        if id in self._backlog:
            raise self._unavailable(payer.name)  # it is being released, or settled: this id is over
        for _ in range(_WINDOW_TRIES):
            hold = self._open(id, payer, amount, bid.most_output_tokens)
            answer, now_ms, *_held = await self._ask_to_hold(hold)
            if answer == b"held":
                return hold
            if answer in _KIND:
                raise _exceeded(hold.budgets[0], _KIND[answer], now_ms)
            if answer == b"settled":
                break
        raise self._unavailable(payer.name)

    def _open(self, id: str, payer: Payer, amount: Amount, output_tokens: int) -> Hold:
        at_s = self._server_unix_s()
        meters = tuple(budget.meter(at_s) for budget in payer.budgets)
        return Hold(id, payer.name, payer.tag, amount, output_tokens, at_s, payer.budgets, meters)

    async def settle(self, hold: Hold, actual: Amount) -> None:
        if not any(budget.limits() for budget in hold.budgets):
            if hold.budgets:
                self._backlog.count(hold, actual)
                self._behind.wake()
            return
        settlement = Settlement(hold, actual)
        try:
            await self._write(settlement)
        except RedisTrouble:
            self._write_later(settlement)
        except asyncio.CancelledError:
            self._write_later(settlement)
            raise

    async def standing(self, payer: Payer) -> tuple[Standing, ...]:
        """As written: what still waits here or in other gateways is not in it."""
        return tuple([await self._stands(payer, budget) for budget in payer.budgets])

    async def _stands(self, payer: Payer, budget: Budget) -> Standing:
        for _ in range(_WINDOW_TRIES):
            window = budget.window(self._server_unix_s())
            try:
                answer, _now_ms, *sums = await self._run("spent", payer.tag, budget, window)
            except RedisTrouble as error:
                raise self._unavailable(payer.name) from error
            if answer == b"spent":
                return Standing(budget, window.end_s, Amount(*map(int, sums)))
        raise self._unavailable(payer.name)

    async def _ask_to_hold(self, hold: Hold) -> list[Any]:
        release = Settlement(hold, NOTHING)
        lease_ms, budget = int(self._lease_s * 1000), hold.budgets[0]
        window = budget.window(hold.at_s)
        try:
            return await self._run(
                "hold", hold.tag, budget, window, hold.id, *_numbers(hold.amount), *_limits(budget), lease_ms
            )
        except (NotAsked, Refused) as error:
            raise self._unavailable(hold.account) from error
        except Unanswered as error:
            self._write_later(release)
            raise self._unavailable(hold.account) from error
        except asyncio.CancelledError:
            self._write_later(release)
            raise

    def _write_later(self, settlement: Settlement) -> None:
        self._backlog.add(settlement)
        self._behind.wake()

    async def _write_waiting(self) -> bool:
        for settlement in self._backlog.waiting():
            try:
                await self._write(settlement)
            except RedisTrouble:
                self._backlog.postpone(settlement)
                return False
            self._backlog.written(settlement)
        return len(self._backlog) == 0

    async def _write(self, settlement: Settlement) -> None:
        """Raises RedisTrouble. Repeating it is harmless: the ledger knows the id."""
        hold, numbers = settlement.hold, _numbers(settlement.actual)
        budget = hold.budgets[0]
        window = budget.window(hold.at_s)
        if settlement.counts:
            await self._run("count", hold.tag, budget, window, hold.id, *numbers, LATE_MS)
            return
        limits = _limits(budget)
        reply = await self._run("settle", hold.tag, budget, window, hold.id, *numbers, *limits, SETTLED_KEPT_MS)
        tokens, nano_usd = reply[2:] or (0, 0)
        if tokens or nano_usd:
            self._observer.tell(Overshoot(hold.account, tokens, nano_usd))

    async def _run(self, operation: str, tag: str, budget: Budget, window: Window, *args: str | int) -> list[Any]:
        """One call of the script: [word, the server's milliseconds, ...]. Raises RedisTrouble.

        A hold is asked for twice: it is the only call whose failure a client would see, and its id makes the second
        one the same hold.
        """
        keys = meter_keys(tag, f"{budget.account}/{window.id}")
        reply = await self._link.call(
            "write",
            lambda: self._eval(
                [keys.sums, keys.leases, keys.holds],
                operation,
                "" if self._server_ms is None else self._server_ms(),
                window.start_s * 1000,
                window.end_s * 1000,
                budget_expires_at_s(window, self._lease_s),
                LATE_MS,
                *args,
            ),
            twice=operation == "hold",
        )
        self._ahead_s = reply[1] / 1000 - self._clock.unix_s()
        return reply

    async def _eval(self, keys: list[str], *args: str | int) -> list[Any]:
        try:
            reply: list[Any] = await self._client.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            reply = await self._client.eval(self._script, len(keys), *keys, *args)
        return reply

    def _server_unix_s(self) -> float:
        return self._clock.unix_s() + self._ahead_s

    def _unavailable(self, service: str) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"The budget of service {service!r} cannot be checked just now.",
            retry_after_s=max(1.0, self._link.wait_s()),
        )


def _numbers(amount: Amount) -> tuple[int, int]:
    """Cut at MAX_LIMIT, which no limit exceeds: an absurd count from upstream must not break the script half-way."""
    return min(amount.tokens, MAX_LIMIT + 1), min(amount.nano_usd, MAX_LIMIT + 1)


def _limits(budget: Budget) -> tuple[int | str, int | str]:
    return ("" if budget.tokens is None else budget.tokens, "" if budget.nano_usd is None else budget.nano_usd)


def _exceeded(budget: Budget, kind: Kind, now_ms: int) -> BudgetExceeded:
    window = budget.window(now_ms / 1000)
    ends = datetime.fromtimestamp(window.end_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return BudgetExceeded(
        f"The {_UNIT[kind]} budget of {budget.account!r} for this {budget.rule.kind} does not cover this request; "
        f"the {budget.rule.kind} ends at {ends}.",
        budget=budget,
        kind=kind,
        retry_after_s=max(0.0, window.end_s - now_ms / 1000),
    )

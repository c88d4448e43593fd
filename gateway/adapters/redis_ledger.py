"""The ledger in Redis: one Lua call to hold, one to settle. The rules are told in `core/meter.py`.

The server's clock decides which window it is. A key's name contains its window, and Redis Cluster wants the keys named
by the caller, so the caller names the windows it believes in; if the server is in another one, it answers with
its time and the caller asks once more, knowing from then on how far apart the clocks are.

A hold that got no answer may have been made: it is released behind, by settling it with nothing. That id is over;
whoever tries again takes a new one. The leases of what is held are short and renewed, all in one go, for as long as it
is not settled: so what a killed gateway held is charged within a minute.

A Redis that has lost its memory says so instead of holding: it is told what this process knows to have been used, and
what `rebuild` knows, and asked again. What was reserved then counts as spent, so nothing is overspent.

Services without a limit are only counted, by calendar month, behind the request: at most the last `_LINGER_S` of their
spend is lost if this process is killed. A service given a monthly budget in UTC starts with what it has spent since
the month began; with a budget of another window it starts that window's sums.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from uuid import uuid4

from gateway.adapters.behind import Behind
from gateway.adapters.budget_levels import BudgetLevels
from gateway.adapters.budget_refusal import Refusal
from gateway.adapters.known_sums import KnownSums
from gateway.adapters.ledger_script import LedgerScript, Reply
from gateway.adapters.redis_client import TIMEOUT_S, NotAsked, RedisClient, RedisTrouble, Refused, Unanswered
from gateway.adapters.redis_link import RedisLink
from gateway.adapters.settlement_backlog import Settlement, SettlementBacklog
from gateway.core.breaker import Breaker
from gateway.core.budget import NOTHING, Amount, Bid, Budget, Limits, Payer
from gateway.core.errors import LedgerUnavailable
from gateway.core.events import Overshoot
from gateway.core.ladder import Rung
from gateway.ports import Clock, Hold, Observer, Standing

Rebuild = Callable[[str, Sequence[str]], Awaitable[Mapping[str, Amount]]]
"""From a tag and the ids of meters that Redis has lost to what is known elsewhere to have been used of them."""

LEASE_S = 60.0
RENEW_EVERY_S = 20.0
"""Two renewals may fail before a lease ends."""
_LINGER_S = 1.0
_RENEWED_AT_ONCE = 200
# It may be another window, then Redis may have lost its memory, and both may happen once more meanwhile.
_TRIES = 5


class RedisLedger:
    """Implements `ports.Ledger`. Between `start` and `stop`, tasks of its own renew the leases and write what could not
    be written at once.

    `server_ms` is for tests: it replaces the server's clock.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        observer: Observer,
        *,
        lease_s: float = LEASE_S,
        timeout_s: float = TIMEOUT_S,
        max_waiting: int = 10_000,
        breaker: Breaker | None = None,
        server_ms: Callable[[], int] | None = None,
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._rebuild: Rebuild | None = None
        self._ahead_s = 0.0
        self._link = RedisLink(client, "ledger", clock, observer, timeout_s=timeout_s, breaker=breaker)
        self._script = LedgerScript(self._link, lease_ms=int(lease_s * 1000), server_ms=server_ms)
        self._known = KnownSums()
        self._levels = BudgetLevels(observer)
        self._restoring = asyncio.Lock()
        self._backlog = SettlementBacklog(max_waiting)
        self._behind = Behind(self._write_waiting, pause_s=_LINGER_S)
        self._held: dict[str, Hold] = {}
        self._renewing = Behind(self._renew_and_go_on, pause_s=RENEW_EVERY_S)

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

    def unix_s(self) -> float:
        """The server's clock, as far as its replies have told it."""
        return self._clock.unix_s() + self._ahead_s

    def before_batches(self, tell: Callable[[Hold, Amount], None]) -> None:
        """From now on `tell` hears of each batch of spend that was never reserved before Redis does: a hold with the
        batch's own id, and the sum."""
        self._backlog.before_batches(tell)

    def rebuild_by(self, rebuild: Rebuild) -> None:
        """From now on a Redis that has lost its memory is also told what `rebuild` knows."""
        self._rebuild = rebuild

    def recount(self, batch: Hold, actual: Amount) -> None:
        """Count a batch of a process that is gone, unless Redis has counted it, and knows it still (LATE_MS)."""
        self._write_later(Settlement(batch, actual, counts=True))

    def start(self) -> None:
        self._link.start()
        self._behind.start()
        self._renewing.start()

    async def stop(self) -> bool:
        """Write what is waiting, once. False when some of it could not be written. The client is not closed."""
        await self._renewing.stop()
        written = await self._behind.stop()
        await self._link.stop()
        return written

    async def flush(self) -> bool:
        """Write now what is waiting. True when nothing is left."""
        return await self._behind.flush()

    async def hold(self, id: str, payer: Payer, bid: Bid, rung: Rung = "wall") -> Hold:
        asked = self._asking(id, payer, bid)
        if not payer.is_limited:
            return asked
        if id in self._backlog:
            raise self._unavailable(payer.name)  # it is being released, or settled: this id is over
        elsewhere: list[Hold] = []
        for _ in range(_TRIES):
            walls = [budget.wall(asked.at_s, rung) for budget in payer.budgets]
            told = self._known.told(payer.tag, payer.budgets)
            reply = await self._ask_to_hold(asked, bid, walls)
            if reply.word == "held":
                return self._granted(asked, bid, reply)
            if reply.word == "refused":
                raise self._refused(asked, bid, rung, reply)
            if reply.word == "over":
                break
            if reply.word == "epoch":
                await self._restore(payer, reply, told)
            else:
                elsewhere.append(asked)
            asked = self._asking(id, payer, bid)
        for before in elsewhere:  # a first try without an answer may have been made there
            self._write_later(Settlement(before, NOTHING))
        raise self._unavailable(payer.name)

    async def settle(self, hold: Hold, actual: Amount) -> None:
        self._held.pop(hold.id, None)
        if not hold.is_reserved:
            if hold.meters:
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
        for _ in range(_TRIES if payer.budgets else 0):
            at_s = self.unix_s()
            meters = [budget.meter(at_s) for budget in payer.budgets]
            told = self._known.told(payer.tag, payer.budgets)
            try:
                reply = await self._script.standing(payer.tag, payer.budgets, at_s, self._known.epoch(payer.tag))
            except RedisTrouble as error:
                raise self._unavailable(payer.name) from error
            self._mind_the_clock(reply)
            if reply.word == "standing":
                self._known.hear(payer.tag, payer.budgets, meters, reply, 0)
                return _standings(payer.budgets, reply.amounts(0, len(meters)), reply.now_s)
            if reply.word == "epoch":
                await self._restore(payer, reply, told)
        if payer.budgets:
            raise self._unavailable(payer.name)
        return ()

    async def renew(self) -> None:
        """Make the leases of all that is held here end later. What cannot be told now is told the next time."""
        held_under: dict[str, list[Hold]] = defaultdict(list)
        for hold in self._held.values():
            held_under[hold.tag].append(hold)
        for tag, holds in held_under.items():
            left = iter(holds)
            while few := list(islice(left, _RENEWED_AT_ONCE)):
                await self._renew(tag, few)

    def _asking(self, id: str, payer: Payer, bid: Bid) -> Hold:
        """As it would be if all of the bid were granted now."""
        at_s, most = self.unix_s(), bid.most_output_tokens
        meters = tuple([budget.meter(at_s) for budget in payer.budgets])
        return Hold(id, payer.name, payer.tag, bid.amount(most), most, at_s, payer.budgets, meters)

    async def _ask_to_hold(self, asked: Hold, bid: Bid, walls: Sequence[Limits]) -> Reply:
        release = Settlement(asked, NOTHING)
        try:
            reply = await self._script.hold(asked, bid, walls, self._known.epoch(asked.tag))
        except (NotAsked, Refused) as error:
            raise self._unavailable(asked.account) from error
        except Unanswered as error:
            self._write_later(release)
            raise self._unavailable(asked.account) from error
        except asyncio.CancelledError:
            self._write_later(release)
            raise
        self._mind_the_clock(reply)
        return reply

    def _granted(self, asked: Hold, bid: Bid, reply: Reply) -> Hold:
        (amount,), used = reply.amounts(0, 1), reply.amounts(1, len(asked.budgets))
        self._known.hear(asked.tag, asked.budgets, asked.meters, reply, 1)
        for budget, after in zip(asked.budgets, used, strict=True):
            self._levels.risen(budget, amount, after, reply.now_s)
        held = Hold(
            asked.id,
            asked.account,
            asked.tag,
            amount,
            amount.tokens - bid.prompt.tokens,
            reply.now_s,
            asked.budgets,
            asked.meters,
            _standings(asked.budgets, used, reply.now_s),
        )
        self._held[held.id] = held
        self._renewing.wake()
        return held

    def _refused(self, asked: Hold, bid: Bid, rung: Rung, reply: Reply) -> Exception:
        count = len(asked.budgets)
        self._known.hear(asked.tag, asked.budgets, asked.meters, reply, 0)
        used, back_ms = reply.amounts(0, count), reply.numbers[2 * count :]
        return Refusal(asked.budgets, used, back_ms, reply.now_s).error(bid, rung)

    async def _restore(self, payer: Payer, reply: Reply, told: Sequence[int]) -> None:
        """Tell Redis what it has lost, unless some of it was `told` since it was asked: then it must be asked again."""
        async with self._restoring:
            if self._known.told(payer.tag, payer.budgets) != told:
                return
            gone = [budget for budget, is_lost in zip(payer.budgets, reply.numbers, strict=True) if is_lost]
            known = dict.fromkeys(gone, NOTHING) | self._known.before(payer.tag, reply.epoch, reply.now_s)
            lost = [budget.meter(reply.now_s) for budget in gone]
            rebuilt = await self._rebuild(payer.tag, lost) if self._rebuild is not None else {}
            try:
                restored = await self._script.restore(payer.tag, known, rebuilt, reply.now_s, uuid4().hex)
            except RedisTrouble as error:
                raise self._unavailable(payer.name) from error
            self._known.begin(payer.tag, restored.epoch, known)

    def _write_later(self, settlement: Settlement) -> None:
        self._backlog.add(settlement)
        self._behind.wake()

    async def _write_waiting(self) -> bool:
        while waiting := self._backlog.waiting():  # a batch that is written makes room for the next of its meters
            for settlement in waiting:
                try:
                    await self._write(settlement)
                except RedisTrouble:
                    self._backlog.postpone(settlement)
                    return False
                self._backlog.written(settlement)
        return True

    async def _write(self, settlement: Settlement) -> None:
        """Raises RedisTrouble. Repeating it is harmless: the ledger knows the id."""
        hold = settlement.hold
        if settlement.counts:
            reply = await self._script.count(hold, settlement.actual)
            self._known.hear(hold.tag, hold.budgets, hold.meters, reply, 0)
            return
        reply = await self._script.settle(hold, settlement.actual)
        self._known.hear(hold.tag, hold.budgets, hold.meters, reply, 1)
        over = _overshoot(hold.budgets, reply)
        if over != NOTHING:
            self._observer.tell(Overshoot(hold.account, over.tokens, over.nano_usd))

    async def _renew_and_go_on(self) -> bool:
        await self.renew()
        return not self._held

    async def _renew(self, tag: str, holds: Sequence[Hold]) -> None:
        ids: dict[str, list[str]] = defaultdict(list)
        for hold in holds:
            for meter in hold.meters:
                ids[meter].append(hold.id)
        try:
            await self._script.renew(tag, ids)
        except RedisTrouble:
            return  # the lease outlives two more tries

    def _mind_the_clock(self, reply: Reply) -> None:
        self._ahead_s = reply.now_s - self._clock.unix_s()

    def _unavailable(self, service: str) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"The budget of service {service!r} cannot be checked just now.",
            retry_after_s=max(1.0, self._link.wait_s()),
        )


def _standings(budgets: Sequence[Budget], used: Sequence[Amount], now_s: float) -> tuple[Standing, ...]:
    pairs = zip(budgets, used, strict=True)
    return tuple([Standing(budget, budget.resets_at_s(now_s), amount) for budget, amount in pairs])


def _overshoot(budgets: Sequence[Budget], settled: Reply) -> Amount:
    """By how much a settlement pushed the budget that it pushed furthest beyond its limit, if any."""
    over, count = NOTHING, len(budgets)
    for at, (budget, now) in enumerate(zip(budgets, settled.amounts(1, count), strict=True), 1):
        if budget.hard and budget.used_share(now) >= 1:
            (was,), wall = settled.amounts(at + count, 1), Limits(budget.tokens, budget.nano_usd)
            over = over.or_more(wall.excess(now).beyond(wall.excess(was)))
    return over

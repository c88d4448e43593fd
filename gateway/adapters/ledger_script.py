"""How `lua/ledger.lua` is called: what it is told and what it answers, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, cast

from gateway.adapters.lua_script import LuaScript
from gateway.adapters.redis_keys import beyond_ms, epoch_key, meter_keys
from gateway.adapters.redis_link import RedisLink
from gateway.core.budget import LATE_MS, MAX_LIMIT, NOTHING, SETTLED_KEPT_MS, Amount, Bid, Budget, Limits
from gateway.core.frozen import value
from gateway.ports import Hold

Operation = Literal["hold", "settle", "count", "standing", "renew", "restore"]
Word = Literal[
    "held", "refused", "over", "settled", "again", "unknown", "counted", "standing", "renewed", "restored",
    "window", "epoch",
]  # fmt: skip


@value(frozen=True, slots=True)
class Reply:
    """`numbers` are what the word is about, in the order that the script says them."""

    word: Word
    now_ms: int
    epoch: str
    numbers: tuple[int, ...] = ()

    @property
    def now_s(self) -> float:
        """The server's clock."""
        return self.now_ms / 1000

    def amounts(self, first: int, count: int) -> tuple[Amount, ...]:
        """So many pairs of tokens and nano-dollars, from the pair `first` on."""
        numbers = self.numbers
        return tuple([Amount(numbers[at], numbers[at + 1]) for at in range(2 * first, 2 * (first + count), 2)])


class LedgerScript:
    """Every call raises RedisTrouble. `lease_ms` is how long a hold lives if nobody renews it."""

    def __init__(self, link: RedisLink, *, lease_ms: int, server_ms: Callable[[], int] | None) -> None:
        self._lease_ms = lease_ms
        self._server_ms = server_ms
        self._script = LuaScript(link, "ledger")

    async def hold(self, hold: Hold, bid: Bid, walls: Sequence[Limits], epoch: str) -> Reply:
        """`held` or `over`: what this id reserves, and the use of each meter. `refused`: the use of each meter, and for
        each and either kind the ms when there is room again, 0 where there is. `window`, `epoch`: nothing was done."""
        offer = (*_numbers(bid.prompt), min(bid.output_nano_usd, MAX_LIMIT), bid.least_output_tokens)
        limits = [_or_none(limit) for wall in walls for limit in (wall.tokens, wall.nano_usd)]
        args = (*self._windows(hold.budgets, hold.at_s), hold.id, *offer, bid.most_output_tokens, *limits)
        return await self._call("hold", hold.tag, hold.meters, epoch, *args)

    async def settle(self, hold: Hold, actual: Amount) -> Reply:
        """What was charged (`again`: the first time), the use of each meter now, and of each before."""
        return await self._call("settle", hold.tag, hold.meters, "", hold.id, *_numbers(actual))

    async def count(self, hold: Hold, actual: Amount) -> Reply:
        """The use of each meter."""
        windows = self._windows(hold.budgets, hold.at_s)
        return await self._call("count", hold.tag, hold.meters, "", *windows, hold.id, *_numbers(actual))

    async def standing(self, tag: str, budgets: Sequence[Budget], at_s: float, epoch: str) -> Reply:
        """The use of each meter; or `window` or `epoch`."""
        meters = [budget.meter(at_s) for budget in budgets]
        return await self._call("standing", tag, meters, epoch, *self._windows(budgets, at_s))

    async def renew(self, tag: str, ids: Mapping[str, Sequence[str]]) -> Reply:
        """`ids` of the holds that live, by meter."""
        args: list[str | int] = []
        for held in ids.values():
            args += [len(held), *held]
        return await self._call("renew", tag, list(ids), "", *args)

    async def restore(
        self, tag: str, known: Mapping[Budget, Amount], rebuilt: Mapping[str, Amount], at_s: float, new_epoch: str
    ) -> Reply:
        """So much had been used in the windows of the moment when their epoch ended, and of the meters in `rebuilt` so
        much until now. A `new_epoch` begins if there is none."""
        budgets = list(known)
        meters = [budget.meter(at_s) for budget in budgets]
        args: list[int] = []
        for used, meter in zip(known.values(), meters, strict=True):
            for kinds in zip(_numbers(used), _numbers(rebuilt.get(meter, NOTHING)), strict=True):
                args += kinds
        return await self._call("restore", tag, meters, "", *self._windows(budgets, at_s), new_epoch, *args)

    def _windows(self, budgets: Sequence[Budget], at_s: float) -> list[str | int]:
        args: list[str | int] = []
        for budget in budgets:
            window, bucket_s = budget.window(at_s), budget.rule.bucket_s
            begin_end = (window.start_s * 1000, window.end_s * 1000) if bucket_s is None else ("", "")
            args += [*begin_end, _or_none(bucket_s and bucket_s * 1000), beyond_ms(window, self._lease_ms)]
        return args

    async def _call(self, operation: Operation, tag: str, meters: Sequence[str], epoch: str, *args: str | int) -> Reply:
        """A hold is asked for twice: it is the only call whose failure a client would see, and its id makes the second
        one the same hold."""
        keys = _keys(tag, tuple(meters))
        asked_ms = "" if self._server_ms is None else self._server_ms()
        terms = asked_ms, epoch, self._lease_ms, LATE_MS, SETTLED_KEPT_MS
        word, now_ms, heard, *numbers = await self._script.run(
            len(keys), *keys, operation, *terms, *args, twice=operation == "hold"
        )
        return Reply(cast(Word, _text(word)), now_ms, _text(heard), tuple(numbers))


@lru_cache(maxsize=1_024)
def _keys(tag: str, meters: tuple[str, ...]) -> tuple[str, ...]:
    keys = [epoch_key(tag)]
    for meter in meters:
        named = meter_keys(tag, meter)
        keys += [named.sums, named.leases, named.holds]
    return tuple(keys)


def _numbers(amount: Amount) -> tuple[int, int]:
    """Cut at MAX_LIMIT, which no limit exceeds: an absurd count from upstream must not break the script half-way."""
    return min(amount.tokens, MAX_LIMIT + 1), min(amount.nano_usd, MAX_LIMIT + 1)


def _or_none(number: int | None) -> int | str:
    return "" if number is None else number


def _text(reply: bytes | str) -> str:
    return reply if isinstance(reply, str) else reply.decode()

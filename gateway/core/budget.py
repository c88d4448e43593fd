"""The arithmetic of budgets. The Lua in `adapters/lua/ledger.lua` is its twin, and a test holds them together.

Theory of operation
-------------------
A request *reserves* an upper bound of what it may cost before it is sent, and *settles* what it did cost when it is
over. A window's state is two sums and the leases behind them:

    settled + reserved <= limit          always, so long as no request costs more than it reserved

    hold     refuse if settled + reserved + amount > a limit; else reserved += amount, with a lease
    settle   reserved -= amount, settled += actual: once; a second settle of the same id changes nothing
    expire   a lease that ended unsettled belongs to a gateway that died: reserved -= amount, settled += amount

So a crash charges the whole estimate, never nothing. A settle that comes after its lease ended trues the charge up
(settled += actual - amount), once. Expiring moves an amount from one sum to the other and leaves the total alone:
no decision depends on when it happens, so it may be lazy, and is done at the next call.

A hold repeated under the same id is the same hold: it reserves nothing more. A refusal is not remembered, for it
holds nothing. An id that was settled, even before it was held (a hold given up on, whose release overtook it on
another connection), cannot be held: that id is over. Ids are therefore the gateway's own, never the client's.

What an id is remembered for: a lease until it ends; an expired one `LATE_MS` longer, for a late settle, after which
the estimate stands; a settled one `SETTLED_KEPT_MS`, after which it is unknown, and settling an unknown id also
changes nothing.

Windows are calendar windows in UTC, weeks begin on Monday. A hold is charged to the window in which it was made,
whenever it is settled. All sums are integers: tokens, and nano-dollars; Lua computes in doubles, so limits stay
below 2**53 (9,007,199 dollars a window).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

WindowKind = Literal["minute", "hour", "day", "week", "month"]
Kind = Literal["tokens", "nano_usd"]
Phase = Literal["held", "expired", "settled"]

# The largest n for which a double tells n + 1 from n: an amount one over the limit is still seen to be over.
MAX_LIMIT = 2**53 - 1
LATE_MS = 3_600_000
SETTLED_KEPT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens and integer nano-dollars, both >= 0 (ValueError)."""

    tokens: int = 0
    nano_usd: int = 0

    def __post_init__(self) -> None:
        if self.tokens < 0 or self.nano_usd < 0:
            raise ValueError(f"an amount is never negative: {self.tokens} tokens, {self.nano_usd} nano-dollars")

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.nano_usd + other.nano_usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.nano_usd - other.nano_usd)


NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class Budget:
    """A service's limits per window; None is no limit of that kind. Windows are calendar windows in UTC.

    A limit outside 0..MAX_LIMIT is a ValueError.
    """

    window: WindowKind
    tokens: int | None = None
    nano_usd: int | None = None

    def __post_init__(self) -> None:
        for kind, limit in self.limits():
            if not 0 <= limit <= MAX_LIMIT:
                raise ValueError(f"a budget's {kind} limit is from 0 to {MAX_LIMIT}, not {limit}")

    def limits(self) -> tuple[tuple[Kind, int], ...]:
        """The limits there are."""
        tokens: tuple[tuple[Kind, int], ...] = () if self.tokens is None else (("tokens", self.tokens),)
        return tokens if self.nano_usd is None else (*tokens, ("nano_usd", self.nano_usd))


@dataclass(frozen=True, slots=True)
class Window:
    """One calendar window: from `start_s` up to but not including `end_s`, unix seconds. `id`: `day:2026-11-28`."""

    id: str
    start_s: int
    end_s: int


_STAMP: Mapping[WindowKind, str] = {
    "minute": "%Y-%m-%dT%H:%M",
    "hour": "%Y-%m-%dT%H",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m",
}


# Long enough to land in the next window from the start of any, short enough not to jump over it.
_LONGEST: Mapping[WindowKind, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
}


def window_of(kind: WindowKind, unix_s: float) -> Window:
    """The window of that kind that contains the moment."""
    start = _start(kind, datetime.fromtimestamp(unix_s, UTC))
    end = _start(kind, start + _LONGEST[kind])
    return Window(f"{kind}:{start.strftime(_STAMP[kind])}", int(start.timestamp()), int(end.timestamp()))


def window_named(id: str) -> Window:
    """The inverse of `window_of(...).id`. Raises ValueError for what is not such an id."""
    name, _, stamp = id.partition(":")
    for kind in get_args(WindowKind):
        if kind == name:
            return window_of(kind, datetime.strptime(stamp, _STAMP[kind]).replace(tzinfo=UTC).timestamp())
    raise ValueError(f"not the id of a window: {id}")


def _start(kind: WindowKind, moment: datetime) -> datetime:
    minute = moment.replace(second=0, microsecond=0)
    if kind == "minute":
        return minute
    if kind == "hour":
        return minute.replace(minute=0)
    day = minute.replace(hour=0, minute=0)
    if kind == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kind == "month" else day


@dataclass(frozen=True, slots=True)
class Lease:
    """What is remembered of one id until `until_ms`. `amount` is what was reserved; nothing once it is settled."""

    phase: Phase
    amount: Amount
    until_ms: int


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One service in one window."""

    settled: Amount = NOTHING
    reserved: Amount = NOTHING
    leases: Mapping[str, Lease] = field(default_factory=dict)

    def excess(self, kind: Kind, budget: Budget) -> int:
        """By how much settled + reserved is over the limit; 0 when it is not, or when there is none."""
        limit = dict(budget.limits()).get(kind)
        used: int = getattr(self.settled + self.reserved, kind)
        return 0 if limit is None else max(0, used - limit)


def hold(
    state: BudgetState, id: str, amount: Amount, budget: Budget, now_ms: int, lease_ms: int
) -> tuple[BudgetState, Literal["held", "settled"] | Kind]:
    """Reserve. The answer is `held`, or the kind of limit that refuses, or `settled` for an id that is over."""
    state = expire(state, now_ms)
    lease = state.leases.get(id)
    if lease is not None:
        return state, "settled" if lease.phase == "settled" else "held"
    reserved = replace(state, reserved=state.reserved + amount)
    for kind, limit in budget.limits():
        if getattr(reserved.settled + reserved.reserved, kind) > limit:
            return state, kind
    return _with(reserved, id, Lease("held", amount, now_ms + lease_ms)), "held"


def settle(state: BudgetState, id: str, actual: Amount, budget: Budget, now_ms: int) -> tuple[BudgetState, Amount]:
    """Charge what was used. The amount is by how much *this* settle pushed the window over its limits, if it did."""
    before = state = expire(state, now_ms)
    lease = state.leases.get(id)
    if lease is not None and lease.phase == "settled":
        return state, NOTHING
    if lease is not None and lease.phase == "held":
        state = replace(state, reserved=state.reserved - lease.amount, settled=state.settled + actual)
    elif lease is not None:
        state = replace(state, settled=state.settled + actual - lease.amount)
    over = {kind: max(0, state.excess(kind, budget) - before.excess(kind, budget)) for kind in get_args(Kind)}
    return _with(state, id, Lease("settled", NOTHING, now_ms + SETTLED_KEPT_MS)), Amount(**over)


def expire(state: BudgetState, now_ms: int) -> BudgetState:
    """Charge the leases that have ended, and forget what need not be remembered any longer."""
    for lease_id, lease in state.leases.items():
        if lease.until_ms > now_ms:
            continue
        if lease.phase == "held":
            settled, reserved = state.settled + lease.amount, state.reserved - lease.amount
            state = replace(state, settled=settled, reserved=reserved)
        late = Lease("expired", lease.amount, lease.until_ms + LATE_MS)
        state = _with(state, lease_id, late if lease.phase == "held" and late.until_ms > now_ms else None)
    return state


def _with(state: BudgetState, id: str, lease: Lease | None) -> BudgetState:
    others = {other: kept for other, kept in state.leases.items() if other != id}
    return replace(state, leases=others if lease is None else {**others, id: lease})

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
from typing import Literal, get_args

from gateway.core.ladder import USUAL, Ladder
from gateway.core.window import Window, WindowRule, window_of

Kind = Literal["tokens", "nano_usd"]
Phase = Literal["held", "expired", "settled"]
Away = Literal["closed", "local", "open"]

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
    """What an account (a service, or a team or organisation of services) may use in each of its windows.

    A limit of None is none, and one outside 0..MAX_LIMIT a ValueError. A budget that is not `hard` refuses nothing: it
    is counted, and its ladder holds. With `pace_burst` a window's limit is not there at once: that share of it at the
    start, the rest evenly until the end. `away` is what holds while the ledger cannot be reached: `closed` refuses,
    `open` lets everything go, `local` lets each gateway spend what it has put aside. A soft budget is always open.
    A `rate` is refused as a rate limit is (come again soon), not as a quota that is used up.
    """

    account: str
    rule: WindowRule
    tokens: int | None = None
    nano_usd: int | None = None
    hard: bool = True
    ladder: Ladder = USUAL
    pace_burst: float | None = None
    away: Away = "closed"
    rate: bool = False

    def __post_init__(self) -> None:
        for kind, limit in self.limits():
            if not 0 <= limit <= MAX_LIMIT:
                raise ValueError(f"a budget's {kind} limit is from 0 to {MAX_LIMIT}, not {limit}")

    def limits(self) -> tuple[tuple[Kind, int], ...]:
        """The limits there are."""
        tokens: tuple[tuple[Kind, int], ...] = () if self.tokens is None else (("tokens", self.tokens),)
        return tokens if self.nano_usd is None else (*tokens, ("nano_usd", self.nano_usd))

    def window(self, unix_s: float) -> Window:
        """The window of the moment."""
        return window_of(self.rule, unix_s)

    def meter(self, unix_s: float) -> str:
        """The id under which the window of the moment is counted: `search/day:2026-11-28`."""
        return f"{self.account}/{self.window(unix_s).id}"


def counter_of(account: str) -> Budget:
    """What a service without budgets is counted by: months, without a limit."""
    return Budget(account, WindowRule("month"), hard=False)


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for an attempt: a service with its budgets, its own first, then those of the groups it is in.

    `tag` is the outermost of these accounts: all that may have to be counted together is kept together under it.
    Without budgets nothing is reserved and nothing counted, as for answers of local models.
    """

    name: str
    tag: str
    budgets: tuple[Budget, ...] = ()

    @property
    def is_limited(self) -> bool:
        """Whether any budget has a limit; if not, there is nothing to ask before an attempt."""
        return any(budget.limits() for budget in self.budgets)


@dataclass(frozen=True, slots=True)
class Bid:
    """What an attempt may cost: its prompt for certain, and for each output token `output_nano_usd` more.

    All are upper bounds. The output, of all choices together, is between `least_output_tokens`, without which it is not
    worth asking, and `most_output_tokens`; both are the same when the client has named its limit.
    """

    prompt: Amount
    output_nano_usd: int = 0
    least_output_tokens: int = 0
    most_output_tokens: int = 0

    def amount(self, output_tokens: int) -> Amount:
        """What that much output reserves."""
        return self.prompt + Amount(output_tokens, output_tokens * self.output_nano_usd)


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

"""What an account may use: budgets, what an attempt bids, and how much of a bid is granted.

All sums are integers: tokens, and nano-dollars. The ledger's script computes in doubles, so limits stay below 2**53
(9,007,199 dollars a window). What is kept of a budget in a window, and for how long, is told in `core/meter.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from gateway.core.frozen import value
from gateway.core.ladder import USUAL, Ladder, Rung
from gateway.core.window import BUCKETS, Window, WindowRule, window_of

Kind = Literal["tokens", "nano_usd"]
Away = Literal["closed", "local", "open"]

# The largest n for which a double tells n + 1 from n: an amount one over the limit is still seen to be over.
MAX_LIMIT = 2**53 - 1
LATE_MS = 3_600_000
SETTLED_KEPT_MS = 60_000
AMPLE_OUTPUT_TOKENS = 4_096
"""What a bid that names no limit is granted where there is room; beyond it, an eighth of what is left (`granted`)."""


@value(frozen=True, slots=True)
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

    def beyond(self, other: Amount) -> Amount:
        """What is left of this after the other, of each kind alone; nothing where the other is more."""
        return Amount(max(0, self.tokens - other.tokens), max(0, self.nano_usd - other.nano_usd))

    def or_more(self, other: Amount) -> Amount:
        """The larger of both, of each kind alone."""
        return Amount(max(self.tokens, other.tokens), max(self.nano_usd, other.nano_usd))


NOTHING = Amount()


@value(frozen=True, slots=True)
class Limits:
    """The most that may be used, of each kind; None is no limit."""

    tokens: int | None = None
    nano_usd: int | None = None

    def room(self, used: Amount) -> Limits:
        """What is left, less than nothing where it is over."""
        return Limits(
            None if self.tokens is None else self.tokens - used.tokens,
            None if self.nano_usd is None else self.nano_usd - used.nano_usd,
        )

    def excess(self, used: Amount) -> Amount:
        """By how much `used` is over."""
        return Amount(
            0 if self.tokens is None else max(0, used.tokens - self.tokens),
            0 if self.nano_usd is None else max(0, used.nano_usd - self.nano_usd),
        )


UNLIMITED = Limits()


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
    is_limited: bool = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)
    _latest: tuple[float, float, Window, str] | None = field(default=None, init=False, repr=False, compare=False)
    """From when until when the window that was asked for last is the one of the moment, the window, and its meter."""

    def __post_init__(self) -> None:
        for kind, limit in self.limits():
            if not 0 <= limit <= MAX_LIMIT:
                raise ValueError(f"a budget's {kind} limit is from 0 to {MAX_LIMIT}, not {limit}")
        object.__setattr__(self, "is_limited", self.tokens is not None or self.nano_usd is not None)
        object.__setattr__(self, "_hash", hash((self.account, self.rule, self.tokens, self.nano_usd, self.hard)))

    def __hash__(self) -> int:
        """Computed once: budgets are keys of what is known of them, some ten times a request."""
        return self._hash

    def limits(self) -> tuple[tuple[Kind, int], ...]:
        """The limits there are."""
        tokens: tuple[tuple[Kind, int], ...] = () if self.tokens is None else (("tokens", self.tokens),)
        return tokens if self.nano_usd is None else (*tokens, ("nano_usd", self.nano_usd))

    def window(self, unix_s: float) -> Window:
        """The window of the moment."""
        return self._at(unix_s)[2]

    def meter(self, unix_s: float) -> str:
        """The id under which the window of the moment is counted: `search/day:2026-11-28`."""
        return self._at(unix_s)[3]

    def _at(self, unix_s: float) -> tuple[float, float, Window, str]:
        latest = self._latest
        if latest is None or not latest[0] <= unix_s < latest[1]:
            window = window_of(self.rule, unix_s)
            begins_s = window.end_s - (self.rule.bucket_s or window.end_s - window.start_s)
            latest = begins_s, window.end_s, window, f"{self.account}/{window.id}"
            object.__setattr__(self, "_latest", latest)
        return latest

    def wall(self, unix_s: float, rung: Rung = "wall") -> Limits:
        """What such an attempt may fill at that moment. A soft budget has no wall."""
        if not self.hard:
            return UNLIMITED
        part = self.ladder.share(rung) * self.paced(unix_s)
        return Limits(_part(self.tokens, part), _part(self.nano_usd, part))

    def paced(self, unix_s: float) -> float:
        """The share of the limits that the window has come to so far."""
        if self.pace_burst is None:
            return 1.0
        window = self.window(unix_s)
        elapsed = (unix_s - window.start_s) / (window.end_s - window.start_s)
        return min(1.0, self.pace_burst + (1 - self.pace_burst) * elapsed)

    def paced_at_s(self, part: float, unix_s: float) -> float:
        """When this window comes to that share of its limits; its end, if never."""
        window = self.window(unix_s)
        if self.pace_burst is None or self.pace_burst >= 1 or part > 1:
            return window.end_s
        elapsed = max(0.0, part - self.pace_burst) / (1 - self.pace_burst)
        return window.start_s + elapsed * (window.end_s - window.start_s)

    def resets_at_s(self, unix_s: float) -> float:
        """When all that is used at that moment counts no more."""
        sliding_s = BUCKETS * (self.rule.bucket_s or 0)
        return self.window(unix_s).end_s + sliding_s

    def used_share(self, used: Amount) -> float:
        """Of the limit that is nearer; 0 without limits, and a limit of 0 is always full."""
        tokens = 0.0 if self.tokens is None else _share(used.tokens, self.tokens)
        return tokens if self.nano_usd is None else max(tokens, _share(used.nano_usd, self.nano_usd))


def _part(limit: int | None, part: float) -> int | None:
    return limit if limit is None or part >= 1 else int(limit * part)


def _share(used: int, limit: int) -> float:
    return used / limit if limit else 1.0


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
    is_limited: bool = field(init=False, repr=False, compare=False)
    """Whether any budget has a limit; if not, there is nothing to ask before an attempt."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_limited", any(budget.is_limited for budget in self.budgets))


@value(frozen=True, slots=True)
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
        prompt = self.prompt
        return Amount(prompt.tokens + output_tokens, prompt.nano_usd + output_tokens * self.output_nano_usd)

    @property
    def least(self) -> Amount:
        """What must fit for the attempt to be worth making."""
        return self.amount(self.least_output_tokens)


def granted(bid: Bid, rooms: Iterable[Limits]) -> int | None:
    """How many output tokens the attempt may have, where each of `rooms` is what is left of a wall; None if too few.

    Room after room, `fit` is what the prompt leaves for output. Who names no limit does not get all of it, or the next
    one would find nothing: an eighth, but at least AMPLE_OUTPUT_TOKENS. So a request without `max_tokens` never
    reserves a model's whole 128,000 tokens out of a small budget.
    """
    fit = bid.most_output_tokens
    shared: int | None = None
    for room in rooms:
        for most in _covered(bid, room):
            fit = min(fit, most)
            shared = most if shared is None else min(shared, most)
    if fit < bid.least_output_tokens:
        return None
    ample = bid.most_output_tokens if shared is None else max(bid.least_output_tokens, AMPLE_OUTPUT_TOKENS, shared // 8)
    return min(fit, ample)


def _covered(bid: Bid, room: Limits) -> Iterable[int]:
    """The output tokens that each kind of a room covers beside the prompt; -1 if not even that."""
    if room.tokens is not None:
        yield room.tokens - bid.prompt.tokens
    if room.nano_usd is not None:
        left = room.nano_usd - bid.prompt.nano_usd
        if left < 0:
            yield -1
        elif bid.output_nano_usd:
            yield left // bid.output_nano_usd

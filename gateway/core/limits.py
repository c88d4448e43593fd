"""Who may come in now. The Lua in `adapters/lua/door.lua` is its twin, and a test holds them together.

Theory of operation
-------------------
A service may have two limits, and a request that either of them refuses leaves no trace: trying again costs nothing.

    requests a minute   admitted requests are counted by the second they came in. The last minute touches 61 seconds,
                        its first and its last in part; all 61 are counted whole, so in no 60 s, wherever they begin,
                        more are admitted than the limit says. The price: room returns up to a second late.
    requests at once    each admitted request has a slot, a lease that is renewed while the request lives and given
                        back at its end. A slot whose lease has ended belongs to a gateway that died.

The same id coming in again is the same entry, for as long as it has its slot: it is let in and counted once. So every
call may be repeated when its reply was lost. Counts are kept also where nothing is limited (`NO_LIMITS`), for whoever
wants to know later what has come in.

Should the clock be set back, what it has counted up to a minute "in the future" counts on, and what is further off is
forgotten: a clock that was wrong cannot keep a service out for more than two minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Limit = Literal["requests_per_minute", "concurrency"]
"""The limits by the names of their settings."""

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit of that kind; less than one is a ValueError."""

    requests_per_minute: int | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for limit in (self.requests_per_minute, self.concurrency):
            if limit is not None and limit < 1:
                raise ValueError(f"a limit lets at least one request in, not {limit}")

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return self.requests_per_minute is not None or self.concurrency is not None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Rate:
    """A service's requests a minute as a client may see them. `reset_s`: until all of `limit` is there again."""

    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """`refused_by` None: come in. `admitted` counts the last minute's requests, this one included if it came in.
    `reset_ms`: until the last of them is forgotten. `retry_ms`: until the minute has room for one more, 0 if it has."""

    refused_by: Limit | None
    admitted: int
    reset_ms: int
    retry_ms: int

    def rate(self, limits: Limits) -> Rate | None:
        limit = limits.requests_per_minute
        return None if limit is None else Rate(limit, max(0, limit - self.admitted), self.reset_ms / 1000)


@dataclass(frozen=True, slots=True)
class DoorState:
    """One service: requests admitted by the Unix second, and slots by id with the millisecond their lease ends."""

    admitted: Mapping[int, int] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)


def enter(state: DoorState, id: str, limits: Limits, now_ms: int, lease_ms: int) -> tuple[DoorState, Answer]:
    """Let one request in, or say which limit refuses. The rate is asked first: it knows when to come again."""
    second = now_ms // 1000
    admitted = {at: count for at, count in state.admitted.items() if abs(second - at) <= MINUTE_S}
    slots = {slot: until_ms for slot, until_ms in state.slots.items() if until_ms > now_ms}
    refused_by = _refused_by(limits, admitted, slots)
    if id in slots:
        refused_by = None
    elif refused_by is None:
        admitted[second] = admitted.get(second, 0) + 1
        slots[id] = now_ms + lease_ms
    answer = Answer(
        refused_by,
        sum(admitted.values()),
        _forgotten_ms(max(admitted, default=None), now_ms),
        _forgotten_ms(_last_to_go(admitted, limits.requests_per_minute), now_ms),
    )
    return DoorState(admitted, slots), answer


def leave(state: DoorState, ids: Iterable[str]) -> DoorState:
    """Give slots back. What has none is over already."""
    gone = frozenset(ids)
    return replace(state, slots={slot: until_ms for slot, until_ms in state.slots.items() if slot not in gone})


def keep(state: DoorState, ids: Iterable[str], now_ms: int, lease_ms: int) -> DoorState:
    """Renew the leases of requests that live; one whose slot was lost (the state was away) has it again."""
    return replace(state, slots={**state.slots, **dict.fromkeys(ids, now_ms + lease_ms)})


def _refused_by(limits: Limits, admitted: Mapping[int, int], slots: Mapping[str, int]) -> Limit | None:
    if limits.requests_per_minute is not None and sum(admitted.values()) >= limits.requests_per_minute:
        return "requests_per_minute"
    if limits.concurrency is not None and len(slots) >= limits.concurrency:
        return "concurrency"
    return None


def _last_to_go(admitted: Mapping[int, int], limit: int | None) -> int | None:
    """The second that must be forgotten for one more to fit: those after it are fewer than the limit."""
    counted = 0
    for second in sorted(admitted, reverse=True):
        counted += admitted[second]
        if limit is not None and counted >= limit:
            return second
    return None


def _forgotten_ms(second: int | None, now_ms: int) -> int:
    """Milliseconds until the second counts no more."""
    return 0 if second is None else max(0, (second + MINUTE_S + 1) * 1000 - now_ms)

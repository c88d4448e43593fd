"""What is kept of a budget in a window. `adapters/lua/ledger.lua` is its twin, and a test holds them together.

Theory of operation
-------------------
A request *reserves* an upper bound of what it may cost before it is sent, and *settles* what it did cost when it is
over, in every meter of its payer (one budget in one window each) or in none. A meter is two sums and the leases behind
them:

    settled + reserved <= limit          always, so long as no request costs more than it reserved

    hold     refuse if settled + reserved + the least of the bid is over any limit; else reserved += what is granted
    settle   reserved -= amount, settled += actual: once; a second settle of the same id changes nothing
    renew    a lease of a gateway that lives ends later; one that has ended meanwhile is taken back
    expire   a lease that ended unsettled belongs to a gateway that died: reserved -= amount, settled += amount

So a crash charges the whole estimate, never nothing. A settle that comes after its lease ended trues the charge up
(settled += actual - amount), once. Expiring moves an amount from one sum to the other and leaves the total alone:
no decision depends on when it happens, so it may be lazy, and is done at the next call.

A hold repeated under the same id is the same hold: it reserves nothing more. A refusal is not remembered, for it
holds nothing. An id that was settled, even before it was held (a hold given up on, whose release overtook it on
another connection), cannot be held: that id is over; so is one that only some of the meters know, which is a hold
repeated in another window. Ids are therefore the gateway's own, never the client's.

What an id is remembered for: a lease until it ends; an expired one `LATE_MS` longer, for a late settle, after which
the estimate stands; a settled one `SETTLED_KEPT_MS`, with what was charged, after which it is unknown, and settling an
unknown id also changes nothing.

A hold is charged to the window in which it was made, and in a sliding window to the bucket, whenever it is settled.
Buckets that have left a sliding window are forgotten; what is settled in them changes nothing any more. Should the
clock be set back, a hold goes into the oldest bucket that counts.

When Redis has lost its memory, gateways tell it what they know to have been used, each maybe less than all: `restored`
is the most that was told so far and part of `settled`, so being told in any order and twice comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.core.budget import LATE_MS, NOTHING, SETTLED_KEPT_MS, Amount, Bid, Kind, Limits, granted
from gateway.core.window import BUCKETS, WindowRule

Phase = Literal["held", "expired", "settled"]


@dataclass(frozen=True, slots=True)
class Lease:
    """What is remembered of one id until `until_ms`: what was reserved, or once it is settled, what was charged."""

    phase: Phase
    amount: Amount
    until_ms: int
    bucket: int = 0

    @property
    def charge(self) -> Charge:
        """What it adds to the sums while it is not settled."""
        return Charge(reserved=self.amount) if self.phase == "held" else Charge(settled=self.amount)


@dataclass(frozen=True, slots=True)
class Charge:
    """The two sums, of a bucket."""

    settled: Amount = NOTHING
    reserved: Amount = NOTHING


EMPTY = Charge()


@dataclass(frozen=True, slots=True)
class Meter:
    """One budget in one window. `bucket_ms` None: not sliding, and everything is in bucket 0. `first` is the oldest
    bucket that counts."""

    bucket_ms: int | None = None
    charges: Mapping[int, Charge] = field(default_factory=dict)
    leases: Mapping[str, Lease] = field(default_factory=dict)
    restored: Amount = NOTHING
    first: int = 0

    @property
    def settled(self) -> Amount:
        return sum((charge.settled for charge in self.charges.values()), NOTHING)

    @property
    def reserved(self) -> Amount:
        return sum((charge.reserved for charge in self.charges.values()), NOTHING)

    @property
    def used(self) -> Amount:
        return self.settled + self.reserved

    def bucket(self, now_ms: int) -> int:
        """Where a hold of now is charged."""
        return 0 if self.bucket_ms is None else max(self.first, now_ms // self.bucket_ms)

    def charged(self, bucket: int, more: Charge, less: Charge) -> Meter:
        """With `more` in the bucket and then `less` out of it, if it still counts. Neither sum gets negative."""
        if bucket < self.first:
            return self
        was = self.charges.get(bucket, EMPTY)
        now = Charge(was.settled + more.settled - less.settled, was.reserved + more.reserved - less.reserved)
        return replace(self, charges={**self.charges, bucket: now})

    def remembering(self, id: str, lease: Lease | None) -> Meter:
        others = {other: kept for other, kept in self.leases.items() if other != id}
        return replace(self, leases=others if lease is None else {**others, id: lease})


def meter_of(rule: WindowRule) -> Meter:
    """An empty one."""
    return Meter(None if rule.bucket_s is None else rule.bucket_s * 1000)


@dataclass(frozen=True, slots=True)
class Held:
    """It is reserved; `amount` as it was the first time."""

    amount: Amount


@dataclass(frozen=True, slots=True)
class Refused:
    """Each meter and kind that has too little, and when (Unix ms) it will have enough for the least of the bid: at the
    end of its window; of a sliding one when enough buckets will have left it, or all, if that is not enough."""

    back_ms: Mapping[tuple[int, Kind], int]


Answer = Held | Refused | Literal["over"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A meter that is asked for room: its wall, and when its window ends (of a sliding one, never)."""

    meter: Meter
    wall: Limits
    end_ms: int


def hold(asked: Sequence[Asked], id: str, bid: Bid, now_ms: int, lease_ms: int) -> tuple[tuple[Meter, ...], Answer]:
    """Reserve in all or in none."""
    meters = tuple(expire(each.meter, now_ms) for each in asked)
    leases = [meter.leases[id] for meter in meters if id in meter.leases]
    if leases:
        is_held = len(leases) == len(meters) and all(lease.phase != "settled" for lease in leases)
        return meters, Held(leases[0].amount) if is_held else "over"
    output_tokens = granted(bid, (each.wall.room(meter.used) for each, meter in zip(asked, meters, strict=True)))
    if output_tokens is None:
        return meters, Refused(
            {
                (at, kind): _back_ms(each, meter, short, kind, now_ms)
                for at, (each, meter) in enumerate(zip(asked, meters, strict=True))
                for kind, short in _shortage(each.wall, meter, bid)
            }
        )
    amount = bid.amount(output_tokens)
    return tuple(_reserved(meter, id, amount, now_ms, lease_ms) for meter in meters), Held(amount)


def _shortage(wall: Limits, meter: Meter, bid: Bid) -> Iterable[tuple[Kind, int]]:
    short = wall.excess(meter.used + bid.least)
    if short.tokens:
        yield "tokens", short.tokens
    if short.nano_usd:
        yield "nano_usd", short.nano_usd


def _back_ms(asked: Asked, meter: Meter, short: int, kind: Kind, now_ms: int) -> int:
    if meter.bucket_ms is None:
        return asked.end_ms
    for bucket in sorted(meter.charges):
        charge = meter.charges[bucket]
        short -= getattr(charge.settled + charge.reserved, kind)
        if short <= 0:
            return (bucket + BUCKETS + 1) * meter.bucket_ms
    return (meter.bucket(now_ms) + BUCKETS + 1) * meter.bucket_ms


def _reserved(meter: Meter, id: str, amount: Amount, now_ms: int, lease_ms: int) -> Meter:
    bucket = meter.bucket(now_ms)
    held = meter.charged(bucket, Charge(reserved=amount), EMPTY)
    return held.remembering(id, Lease("held", amount, now_ms + lease_ms, bucket))


def settle(meter: Meter, id: str, actual: Amount, now_ms: int) -> tuple[Meter, Amount | None]:
    """Charge what was used. What had been charged already comes back if the id was settled before, else None."""
    meter = expire(meter, now_ms)
    lease = meter.leases.get(id)
    if lease is not None and lease.phase == "settled":
        return meter, lease.amount
    if lease is None:
        return meter.remembering(id, Lease("settled", NOTHING, now_ms + SETTLED_KEPT_MS)), None
    charged = meter.charged(lease.bucket, Charge(settled=actual), lease.charge)
    return charged.remembering(id, Lease("settled", actual, now_ms + SETTLED_KEPT_MS)), None


def renew(meter: Meter, ids: Iterable[str], now_ms: int, lease_ms: int) -> Meter:
    """The requests live. One whose lease has ended is held again; what is settled or unknown stays so."""
    meter = expire(meter, now_ms)
    for held in ids:
        lease = meter.leases.get(held)
        if lease is None or lease.phase == "settled":
            continue
        again = replace(lease, phase="held", until_ms=now_ms + lease_ms)
        meter = meter.charged(lease.bucket, again.charge, lease.charge).remembering(held, again)
    return meter


def expire(meter: Meter, now_ms: int) -> Meter:
    """Charge the leases that have ended, forget what need not be remembered, and the buckets that have left."""
    meter = _moved(meter, now_ms)
    for lease_id, lease in meter.leases.items():
        if lease.until_ms > now_ms:
            continue
        late = replace(lease, phase="expired", until_ms=lease.until_ms + LATE_MS)
        if lease.phase == "held":
            meter = meter.charged(lease.bucket, late.charge, lease.charge)
        meter = meter.remembering(lease_id, late if lease.phase == "held" and late.until_ms > now_ms else None)
    return meter


def restore(meter: Meter, known: Amount, now_ms: int, rebuilt: Amount = NOTHING) -> Meter:
    """Redis has lost its memory, and somebody knows that so much had been used; or, from the lines of a ledger, that
    so much has been used until now, some of which may be known already, or have been counted since."""
    meter = expire(meter, now_ms)
    bucket = meter.bucket(now_ms)
    told = meter.charged(bucket, Charge(settled=known.beyond(meter.restored)), EMPTY)
    told = told.charged(bucket, Charge(settled=rebuilt.beyond(told.used)), EMPTY)
    return replace(told, restored=meter.restored.or_more(known).or_more(rebuilt))


def _moved(meter: Meter, now_ms: int) -> Meter:
    if meter.bucket_ms is None:
        return meter
    first = max(meter.first, now_ms // meter.bucket_ms - BUCKETS)
    counted = {bucket: charge for bucket, charge in meter.charges.items() if bucket >= first}
    return replace(meter, first=first, charges=counted)

"""Does Redis say what the ledger's lines say, and do the bills? Reads all lines once, and then what is new.

A gateway writes a line before it tells Redis, so a gateway that runs is ahead of Redis for moments: what differs is
looked at again, until it does not or `tries` are over. Nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.adapters.ledger_file import ledger_files
from gateway.adapters.ledger_reader import Damage, read_lines
from gateway.adapters.redis_client import RedisClient
from gateway.adapters.redis_keys import meter_keys
from gateway.core.balance import Balance, Mismatch, ServiceDay
from gateway.core.books import Books, Slot, budget_of
from gateway.core.budget import LATE_MS, NOTHING, Amount
from gateway.core.ledger_lines import Record

Verdict = Literal["equal", "different", "missing", "over"]
"""`missing`: Redis has nothing of a window that still counts. `over`: nor need it, for the window is long over."""

_PAUSE_S = 0.25
_ZONES_S = 14 * 3_600
"""A calendar day ends so much earlier in some zone than in UTC."""


class Unusable(Exception):
    """The lines cannot be read, or there are none; the message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class MeterRow:
    """One meter. `in_ledger` is what Redis should have been told; `in_redis` what it says, None: nothing."""

    tag: str
    meter: str
    in_ledger: Amount
    in_redis: Amount | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """All that was compared. `open_holds` are attempts that have not ended; `lost_lines` never reached the disk."""

    files: int
    lines: int
    lost_lines: int
    open_holds: int
    meters: tuple[MeterRow, ...]
    days: dict[tuple[str, str], ServiceDay]
    mismatches: tuple[Mismatch, ...]

    @property
    def equal(self) -> bool:
        meters_agree = all(row.verdict in ("equal", "over") for row in self.meters)
        return meters_agree and not self.mismatches and all(day.balances for day in self.days.values())


async def verify(folders: Sequence[Path], redis: RedisClient, now_s: float, *, tries: int = 1) -> Report:
    """`folders` are those of all gateways that share the Redis. Raises Unusable, and what redis-py raises."""
    lines = _Lines(folders)
    for left in reversed(range(tries)):
        await asyncio.to_thread(lines.read_on)
        report = await _compare(lines, redis, now_s)
        if report.equal or not left:
            break
        await asyncio.sleep(_PAUSE_S)
    return report


class _Lines:
    """The lines of all folders, added up; `read_on` adds what was written since."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.balance = Balance()
        self.read: dict[Path, tuple[int, int]] = {}  # lines, and the size they were read at
        self._folders = folders

    def read_on(self) -> None:
        """Raises Unusable."""
        for folder in self._folders:
            files = ledger_files(folder)
            if not files:
                raise Unusable(f"there are no ledger files in {folder}; name a folder that a gateway writes to")
            for path in files:
                self._read_file(path, is_first=path == files[0])

    def _read_file(self, path: Path, *, is_first: bool) -> None:
        size_bytes = path.stat().st_size
        last, last_size_bytes = self.read.get(path, (0, -1))
        if size_bytes == last_size_bytes:
            return
        for number, record in read_lines(path, _refuse):
            if number > last:
                self._add(path, number, record, begins=is_first and number == 1)
                last = number
        self.read[path] = last, size_bytes

    def _add(self, path: Path, number: int, record: Record, *, begins: bool) -> None:
        try:
            if begins and record.get("type") == "head":
                self.balance.begin(record)
            self.balance.add(record)
        except (KeyError, TypeError, ValueError) as error:
            _refuse(Damage(path, number, str(error)))


def _refuse(damage: Damage) -> None:
    raise Unusable(f"{damage}; nothing can be proven from lines that say nothing")


async def _compare(lines: _Lines, redis: RedisClient, now_s: float) -> Report:
    balance = lines.balance
    slots: dict[tuple[str, str], dict[Slot, Amount]] = {}
    for slot, spent in balance.books.sums.items():
        slots.setdefault((slot.tag, slot.meter), {})[slot] = spent
    return Report(
        files=len(lines.read),
        lines=balance.lines,
        lost_lines=balance.lost_lines,
        open_holds=balance.books.in_the_air,
        meters=tuple([await _row(redis, balance.books, slots[where], now_s) for where in sorted(slots)]),
        days=balance.days(),
        mismatches=tuple(balance.mismatches),
    )


async def _row(redis: RedisClient, books: Books, slots: dict[Slot, Amount], now_s: float) -> MeterRow:
    """All slots are of one meter: one, or the buckets of a sliding window."""
    tag, meter, _ = next(iter(slots))
    fields = {_text(name): _text(value) for name, value in (await redis.hgetall(meter_keys(tag, meter).sums)).items()}
    first_bucket = int(fields.get("first", 0))
    in_ledger = _sum(spent for slot, spent in slots.items() if slot.bucket is None or slot.bucket >= first_bucket)
    uncounted = books.uncounted.get((tag, (meter,)))
    if uncounted is not None:
        in_ledger -= uncounted.amount
    if not fields:
        counts = in_ledger != NOTHING and now_s < max(_counts_until_s(books, slot) for slot in slots)
        return MeterRow(tag, meter, in_ledger, None, "missing" if counts else "over")
    in_redis = Amount(_settled(fields, "tokens"), _settled(fields, "nano_usd"))
    return MeterRow(tag, meter, in_ledger, in_redis, "equal" if in_redis == in_ledger else "different")


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = NOTHING
    for amount in amounts:
        total += amount
    return total


def _settled(fields: dict[str, str], kind: str) -> int:
    """Of a sliding window the buckets that count: its sum may still have some that have left it."""
    if "bucket_ms" not in fields:
        return int(fields.get(f"settled_{kind}", 0))
    ours = {name.partition(":")[0]: int(n) for name, n in fields.items() if name.endswith(f":settled_{kind}")}
    return sum(n for bucket, n in ours.items() if int(bucket) >= int(fields["first"]))


def _counts_until_s(books: Books, slot: Slot) -> float:
    """Until then Redis must know the slot: its window goes on, or something held in it may still be settled."""
    budget, touched_s = budget_of(slot.meter), books.touched_s(slot)
    window_ends_s = touched_s if budget.rule.style == "sliding" else budget.window(touched_s).end_s
    return max(window_ends_s - _ZONES_S, touched_s + LATE_MS / 1000)


def _text(reply: bytes | str) -> str:
    return reply if isinstance(reply, str) else reply.decode()

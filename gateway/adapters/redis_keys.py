"""Every Redis key the gateway writes, each with its rule for how long it lives. Nothing here lives for ever.

The `{...}` in a key is a Redis Cluster hash tag: the keys of one service, or of a group with its services, live on one
node, because one script touches them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from gateway.core.budget import LATE_MS, SETTLED_KEPT_MS
from gateway.core.window import Window


def cached_answer(digest: str) -> str:
    """A whole answer. Lives as long as the entry's own `ttl_s`, set with the value."""
    return f"thriftgate:answer:{digest}"


@lru_cache(maxsize=1_024)  # few owners, and each batch of writes names its own three times
def answers_of(owner: str) -> str:
    """A sorted set, an owner's answers → the Unix second each expires. Lives for LONGEST_TTL_S after the last write,
    so never shorter than what it lists."""
    return f"thriftgate:answers-of:{quote(owner, safe='')}"


ANSWER_OWNERS = "thriftgate:answer-owners"
"""A sorted set, owner → the Unix second its last answer expires. Lives as `answers_of` does."""
LONGEST_TTL_S = 31_536_000
"""A year: the longest time to live that a request or the configuration may ask for."""


@dataclass(frozen=True, slots=True)
class MeterKeys:
    """One budget in one window. All three live at least `beyond_ms` longer than the window, and as long as any lease.

    `sums` a hash of four integers, of a sliding window by the bucket as well; `leases` a sorted set, id → the
    millisecond its phase ends; `holds` a hash, id → `phase tokens nano_usd bucket`.
    """

    sums: str
    leases: str
    holds: str


def meter_keys(tag: str, meter: str) -> MeterKeys:
    """`tag` is the payer's; `meter` is `core.budget.Budget.meter`."""
    # Quoted, so that a brace in a name cannot break the hash tag, nor a colon make two names one.
    account, _, window = meter.rpartition("/")
    stem = f"thriftgate:{{{quote(tag, safe='')}}}:{quote(account, safe='')}/{window}"
    return MeterKeys(f"{stem}:sums", f"{stem}:leases", f"{stem}:holds")


def epoch_key(tag: str) -> str:
    """When the memory of all meters under the tag begins: `millisecond id`. Lives as long as the longest of them, so
    that it is missing only where they are."""
    return f"thriftgate:{{{quote(tag, safe='')}}}:epoch"


def beyond_ms(window: Window, lease_ms: int) -> int:
    """How long a meter is kept after its window. One window longer, so that the last one can be read; and never less
    than the last lease made in it, its time for a late settle, and the memory of that."""
    return max((window.end_s - window.start_s) * 1000, lease_ms + LATE_MS + SETTLED_KEPT_MS)


@dataclass(frozen=True, slots=True)
class DoorKeys:
    """Who came in to one service. `admitted` a hash, second → requests, lives for two minutes after the last one;
    `slots` a sorted set, id → the millisecond its lease ends, lives as long as the last lease."""

    admitted: str
    slots: str


def door_keys(service: str) -> DoorKeys:
    stem = f"thriftgate:{{{quote(service, safe='')}}}:door"
    return DoorKeys(f"{stem}:admitted", f"{stem}:slots")

"""The nearest cache: whole answers in this process, the least recently used dropped first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.ports import Clock

# What an entry costs besides its key and value: two bytes headers, the entry and its slot in the table, rounded up.
_ENTRY_BYTES = 256


@dataclass(slots=True)
class _Entry:
    value: bytes
    owner: str
    expires_s: float
    size_bytes: int


class MemoryCache:
    """Synchronous, for one event loop. Holds at most `max_bytes` (estimated) in at most `max_entries`."""

    def __init__(self, clock: Clock, *, max_bytes: int = 64 * 2**20, max_entries: int = 10_000) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def get(self, key: str) -> bytes | None:
        """The value, which becomes the most recently used; None when there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_s <= self._clock.monotonic_s():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: str, value: bytes, ttl_s: float, owner: str = "") -> None:
        """Replace. A value that could never fit, or whose time is over, only removes the old one."""
        if key in self._entries:
            self._drop(key)
        size_bytes = len(key) + len(value) + _ENTRY_BYTES
        if size_bytes > self._max_bytes or ttl_s <= 0:
            return
        self._entries[key] = _Entry(value, owner, self._clock.monotonic_s() + ttl_s, size_bytes)
        self._size_bytes += size_bytes
        if self._size_bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._shrink()

    def resize(self, max_bytes: int) -> None:
        """Another bound from now on; what no longer fits goes at once."""
        self._max_bytes = max_bytes
        self._shrink()

    def forget(self, owner: str | None = None, key: str | None = None) -> int:
        """As `ports.Cache.forget`. Reads all entries if no key is given: about a millisecond."""
        asked = list(self._entries) if key is None else [key] if key in self._entries else []
        found = [one for one in asked if owner is None or self._entries[one].owner == owner]
        for one in found:
            self._drop(one)
        return len(found)

    def _shrink(self) -> None:
        while self._size_bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._size_bytes -= self._entries.popitem(last=False)[1].size_bytes

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size_bytes -= entry.size_bytes

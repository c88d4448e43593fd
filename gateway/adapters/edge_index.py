"""Stored questions in an embedded Qdrant shard: `ports.SemanticIndex` without a server.

Theory of operation. qdrant-edge 0.9.0 was measured on 2026-11-23, and three findings shape this file:

- It holds Python's global lock while it works. Comparing a question with all of 50,000 points takes 20 ms, so it is
  only asked about the few that `sign_screen` lets through (0.05 ms); an upsert takes 0.1 ms. But a flush stalls the
  whole process 55-80 ms and its optimizer (the only thing that reclaims deleted points) 0.4-1.1 s. So we never
  optimize, and flush at most every five minutes.
- Its write-ahead log grows with every write and is not cut by a flush, so it is off. After a kill -9 the shard holds
  what the last flush held: a crash loses at most five minutes of questions, and a lost question is a miss.
- The log was also what refused a second opener, so the folder has an owner's lock of its own.

Because deleted points are never reclaimed, points live in two generations of half the capacity each. When the younger
is full the elder is dropped with its folder, and that is all the eviction there is: bounded in memory and on disk,
oldest first, at constant cost. Expired points are filtered at each read and leave with their generation.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.adapters.data_dir import DataDir
from gateway.adapters.edge_generation import EdgeGeneration
from gateway.adapters.health import Health
from gateway.adapters.semantic_points import collection_name, payload, point_id
from gateway.ports import Clock, Match, Observer, Vector

_FLUSH_EVERY_S = 300.0
_INDEX = "embedded index"

T = TypeVar("T")


class EdgeIndex:
    """`ports.SemanticIndex` in `folder/thriftgate-<engine>-<dimensions>`, owned by this process alone."""

    def __init__(
        self,
        folder: Path,
        *,
        engine: str,
        dimensions: int,
        observer: Observer,
        clock: Clock,
        max_points: int = 20_000,
    ) -> None:
        """20,000 points of 384 dimensions take 58 MiB of memory and 26 MB of disk (10 MiB when empty); a look-up among
        100,000 takes about 1 ms (tests/bench/semantic.py)."""
        self._folder = folder / collection_name(engine, dimensions)
        self._dimensions = dimensions
        self._max_points = max_points
        self._clock = clock
        self._health = Health("semantic_cache", observer)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="edge-index")
        self._owned: DataDir | None = None
        self._generations: _Generations | None = None
        self._flushed_s = clock.monotonic_s()

    async def start(self) -> None:
        """Open or create the shard. Raises DataDirError, naming the folder, when another process owns it.

        Anything else that is wrong with the folder is a degraded cache, not a reason not to serve.
        """
        self._owned = await self._in_thread(lambda: DataDir(self._folder))
        try:
            self._generations = await self._in_thread(self._open)
        except Exception as broken:  # the engine raises bare Exception
            self._health.broken(_INDEX, f"cannot open {self._folder}: {broken}")

    async def stop(self) -> None:
        """Write everything to disk and give up the folder."""
        generations, self._generations = self._generations, None
        try:
            if generations is not None:
                await self._in_thread(generations.close)
        except Exception as broken:  # the engine raises bare Exception; a cache that cannot be saved is only lost
            self._health.broken(_INDEX, f"cannot save {self._folder}: {broken}")
        finally:
            if self._owned is not None:
                self._owned.close()
            self._thread.shutdown(wait=True)

    async def nearest(self, scope: str, vector: Vector, threshold: float) -> Match | None:
        generations = self._generations
        if generations is None:
            return None
        now_s = self._clock.unix_s()
        try:
            found = await self._in_thread(lambda: generations.nearest(scope, vector, threshold, now_s))
        except Exception as broken:  # the engine raises bare Exception
            self._health.broken(_INDEX, f"look-up: {broken}")
            return None
        self._health.mended(_INDEX)
        return found

    async def add(self, scope: str, vector: Vector, key: str, text: str, ttl_s: int, owner: str = "") -> bool:
        generations = self._generations
        if generations is None:
            return False
        fields = payload(scope, key, text, self._clock.unix_s() + ttl_s, owner)
        try:
            await self._in_thread(lambda: generations.add(point_id(scope, key), vector, fields))
            await self._flush_now_and_then(generations)
        except Exception as broken:  # the engine raises bare Exception
            self._health.broken(_INDEX, f"storing: {broken}")
            return False
        self._health.mended(_INDEX)
        return True

    async def forget(self, owner: str | None = None, key: str | None = None) -> bool:
        """Flushed at once, so that a crash brings nothing back. The engine frees the room with the generation."""
        generations = self._generations
        if generations is None:
            return False
        try:
            await self._in_thread(lambda: generations.forget(owner, key))
        except Exception as broken:  # the engine raises bare Exception
            self._health.broken(_INDEX, f"forgetting: {broken}")
            return False
        return True

    async def _flush_now_and_then(self, generations: _Generations) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._flushed_s >= _FLUSH_EVERY_S:
            self._flushed_s = now_s
            await self._in_thread(generations.flush)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> _Generations:
        return _Generations(self._folder, self._dimensions, max(1, self._max_points // 2))


class _Generations:
    """The younger generation takes what is added, both are asked. Blocking; runs in the index's thread."""

    def __init__(self, folder: Path, dimensions: int, capacity: int) -> None:
        self._folder = folder
        self._dimensions = dimensions
        self._capacity = capacity
        folders = sorted(folder.glob("generation-*"))
        for stale in folders[:-2]:
            shutil.rmtree(stale)
        opened = [found for path in folders[-2:] if (found := EdgeGeneration.load(path, dimensions))]
        self._number = int(folders[-1].name.removeprefix("generation-")) if folders else 0
        self._elder = opened[0] if len(opened) == 2 else None
        self._younger = opened[-1] if opened else self._create()

    def nearest(self, scope: str, vector: Vector, threshold: float, now_s: float) -> Match | None:
        found = [each.nearest(scope, vector, threshold, now_s) for each in self._both()]
        return max(filter(None, found), key=lambda hit: hit[0], default=(0.0, None))[1]

    def add(self, id: str, vector: Vector, fields: dict[str, object]) -> None:
        """Replaces an equal id in either generation."""
        if self._younger.points >= self._capacity:
            self._turn_over()
        if self._elder is not None:
            self._elder.delete(id)
        self._younger.add(id, vector, fields)

    def forget(self, owner: str | None, key: str | None) -> None:
        for generation in self._both():
            generation.forget(owner, key)
        self.flush()

    def flush(self) -> None:
        for generation in self._both():
            generation.flush()

    def close(self) -> None:
        self.flush()
        for generation in self._both():
            generation.close()

    def _both(self) -> list[EdgeGeneration]:
        return [self._younger] if self._elder is None else [self._younger, self._elder]

    def _turn_over(self) -> None:
        """The younger becomes the elder; what was the elder is forgotten."""
        self._younger.flush()
        dropped, self._elder, self._younger = self._elder, self._younger, self._create()
        if dropped is not None:
            dropped.close()
        for stale in sorted(self._folder.glob("generation-*"))[:-2]:
            shutil.rmtree(stale)

    def _create(self) -> EdgeGeneration:
        self._number += 1
        return EdgeGeneration.create(self._folder / f"generation-{self._number:06}", self._dimensions)

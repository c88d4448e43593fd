"""Stored questions in an embedded Qdrant shard: `ports.SemanticIndex` without a server.

Theory of operation. qdrant-edge 0.9.0 was measured on 2026-11-23, and three findings shape this file:

- It holds Python's global lock while it works. A query over 10,000 points takes 0.6-0.9 ms and an upsert 0.1 ms, so
  a thread of our own keeps them orderly; but a flush stalls the whole process 55-80 ms and its optimizer (the only
  thing that reclaims deleted points) 0.4-1.1 s. So we never optimize, and flush at most every five minutes.
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
from typing import TYPE_CHECKING, TypeVar

from gateway.adapters.data_dir import DataDir
from gateway.adapters.health import Health
from gateway.adapters.semantic_points import collection_name, match, payload, point_id
from gateway.ports import Clock, Match, Observer, Vector

if TYPE_CHECKING:
    from qdrant_edge import EdgeShard

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
        """20,000 points of 384 dimensions take 57 MiB of memory, 26 MB of disk and 2 ms a query (10 MiB when empty)."""
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

    async def add(self, scope: str, vector: Vector, key: str, text: str, ttl_s: int) -> bool:
        generations = self._generations
        if generations is None:
            return False
        fields = payload(scope, key, text, self._clock.unix_s() + ttl_s)
        try:
            await self._in_thread(lambda: generations.add(point_id(scope, key), vector, fields))
            await self._flush_now_and_then(generations)
        except Exception as broken:  # the engine raises bare Exception
            self._health.broken(_INDEX, f"storing: {broken}")
            return False
        self._health.mended(_INDEX)
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
    """The younger shard takes what is added, both are asked. Blocking; runs in the index's thread."""

    def __init__(self, folder: Path, dimensions: int, capacity: int) -> None:
        self._folder = folder
        self._dimensions = dimensions
        self._capacity = capacity
        folders = sorted(folder.glob("generation-*"))
        for stale in folders[:-2]:
            shutil.rmtree(stale)
        opened = [shard for path in folders[-2:] if (shard := _load_or_discard(path))]
        self._number = int(folders[-1].name.removeprefix("generation-")) if folders else 0
        self._elder = opened[0] if len(opened) == 2 else None
        self._younger = opened[-1] if opened else self._create()
        self._written = self._younger.info().points_count

    def nearest(self, scope: str, vector: Vector, threshold: float, now_s: float) -> Match | None:
        import qdrant_edge as edge

        request = edge.QueryRequest(
            limit=1,
            query=edge.Query.Nearest(list(vector)),
            score_threshold=threshold,
            with_payload=True,
            filter=edge.Filter(
                must=[
                    edge.FieldCondition("scope", match=edge.MatchValue(scope)),
                    edge.FieldCondition("expires_at", range=edge.RangeFloat(gt=now_s)),
                ]
            ),
        )
        shards = [self._younger] if self._elder is None else [self._younger, self._elder]
        found = [point for shard in shards for point in shard.query(request)]
        best = max(found, key=lambda point: point.score, default=None)
        return None if best is None else match(best.payload, best.score)

    def add(self, id: str, vector: Vector, fields: dict[str, object]) -> None:
        """Replaces an equal id in either generation. A replacement also takes room: the engine only appends."""
        import qdrant_edge as edge

        if self._written >= self._capacity:
            self._turn_over()
        if self._elder is not None:
            self._elder.update(edge.UpdateOperation.delete_points([id]))
        self._younger.update(edge.UpdateOperation.upsert_points([edge.Point(id, list(vector), fields)]))
        self._written += 1

    def flush(self) -> None:
        for shard in (self._elder, self._younger):
            if shard is not None:
                shard.flush()

    def close(self) -> None:
        self.flush()
        for shard in (self._elder, self._younger):
            if shard is not None:
                shard.close()

    def _turn_over(self) -> None:
        """The younger becomes the elder; what was the elder is forgotten."""
        self._younger.flush()
        dropped, self._elder, self._younger = self._elder, self._younger, self._create()
        self._written = 0
        if dropped is not None:
            dropped.close()
        for stale in sorted(self._folder.glob("generation-*"))[:-2]:
            shutil.rmtree(stale)

    def _create(self) -> EdgeShard:
        import qdrant_edge as edge

        self._number += 1
        path = self._folder / f"generation-{self._number:06}"
        path.mkdir()
        vectors = edge.EdgeVectorParams(size=self._dimensions, distance=edge.Distance.Cosine)
        config = edge.EdgeConfig(vectors=vectors, max_search_threads=1, wal_enabled=False)
        shard = edge.EdgeShard.create(str(path), config)
        shard.update(edge.UpdateOperation.create_field_index("scope", edge.PayloadSchemaType.Keyword))
        shard.update(edge.UpdateOperation.create_field_index("expires_at", edge.PayloadSchemaType.Float))
        return shard


def _load_or_discard(path: Path) -> EdgeShard | None:
    """A generation that cannot be read (a crash while it was being created) is only a colder cache."""
    import qdrant_edge as edge

    try:
        return edge.EdgeShard.load(str(path))
    except Exception:  # the engine raises bare Exception
        shutil.rmtree(path)
        return None

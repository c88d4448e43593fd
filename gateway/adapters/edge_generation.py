"""One qdrant-edge shard, and the screen that spares it comparing everything. Blocking; for the index's own thread."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from gateway.adapters.semantic_points import match
from gateway.adapters.sign_screen import SignScreen
from gateway.ports import Match, Vector

if TYPE_CHECKING:
    from qdrant_edge import EdgeShard, Record

_READ_POINTS = 256
"""Of a stored shard at once: the engine holds Python's global lock for about 5 ms of them."""


class EdgeGeneration:
    """A folder of points. `points` is how many were written here, replaced ones included after a `load` only once."""

    def __init__(self, shard: EdgeShard, dimensions: int) -> None:
        self._shard = shard
        self._screen = SignScreen(dimensions)
        self.points = 0

    @classmethod
    def create(cls, path: Path, dimensions: int) -> EdgeGeneration:
        import qdrant_edge as edge

        path.mkdir()
        vectors = edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)
        config = edge.EdgeConfig(vectors=vectors, max_search_threads=1, wal_enabled=False)
        shard = edge.EdgeShard.create(str(path), config)
        shard.update(edge.UpdateOperation.create_field_index("scope", edge.PayloadSchemaType.Keyword))
        shard.update(edge.UpdateOperation.create_field_index("expires_at", edge.PayloadSchemaType.Float))
        return cls(shard, dimensions)

    @classmethod
    def load(cls, path: Path, dimensions: int) -> EdgeGeneration | None:
        """None for what cannot be read (a crash while it was being created), which is removed: a colder cache."""
        import qdrant_edge as edge

        try:
            generation = cls(edge.EdgeShard.load(str(path)), dimensions)
            generation._read()
        except Exception:  # the engine raises bare Exception
            shutil.rmtree(path)
            return None
        return generation

    def nearest(self, scope: str, vector: Vector, threshold: float, now_s: float) -> tuple[float, Match] | None:
        """The best live point of the scope and its cosine."""
        import qdrant_edge as edge

        near: set[int | UUID | str] = {*self._screen.near(scope, vector, threshold)}
        if not near:
            return None
        request = edge.QueryRequest(
            limit=1,
            query=edge.Query.Nearest(list(vector)),
            score_threshold=threshold,
            with_payload=True,
            filter=edge.Filter(
                must=[
                    edge.HasIdCondition(near),
                    edge.FieldCondition("scope", match=edge.MatchValue(scope)),
                    edge.FieldCondition("expires_at", range=edge.RangeFloat(gt=now_s)),
                ]
            ),
        )
        found = self._shard.query(request)
        return (found[0].score, match(found[0].payload, found[0].score)) if found else None

    def add(self, id: str, vector: Vector, fields: dict[str, Any]) -> None:
        """Replaces an equal id. A replacement takes room as well: the engine only appends."""
        import qdrant_edge as edge

        self._shard.update(edge.UpdateOperation.upsert_points([edge.Point(id, list(vector), fields)]))
        self._screen.add([(str(fields["scope"]), id, vector)])
        self.points += 1

    def delete(self, id: str) -> None:
        import qdrant_edge as edge

        self._shard.update(edge.UpdateOperation.delete_points([id]))

    def forget(self, owner: str | None, key: str | None) -> None:
        """The screen keeps their signs, which the engine then finds nothing under."""
        import qdrant_edge as edge

        wanted = {name: value for name, value in (("owner", owner), ("key", key)) if value is not None}
        matching = [edge.FieldCondition(name, match=edge.MatchValue(value)) for name, value in wanted.items()]
        any_at_all = edge.FieldCondition("expires_at", range=edge.RangeFloat(gt=0.0))
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=[any_at_all, *matching])))

    def flush(self) -> None:
        self._shard.flush()

    def close(self) -> None:
        self._shard.close()

    def _read(self) -> None:
        """The screen is not stored: it is made again from the vectors."""
        import qdrant_edge as edge

        offset = None
        while True:
            request = edge.ScrollRequest(limit=_READ_POINTS, offset=offset, with_payload=True, with_vector=True)
            points, offset = self._shard.scroll(request)
            self._screen.add([_screened(point) for point in points])
            self.points += len(points)
            if offset is None:
                return


def _screened(point: Record) -> tuple[str, str, Vector]:
    """Our vectors are plain lists; the engine knows others."""
    return str((point.payload or {})["scope"]), str(point.id), cast(Vector, point.vector)

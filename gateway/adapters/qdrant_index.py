"""Stored questions in a Qdrant server: `ports.SemanticIndex` shared by every gateway that names the same URL.

A server that does not answer costs each look-up its time-out, so a breaker stops asking after three of those. While it
is open no request pays for asking: a task of the index's own asks twice in each `open_s`, and a prompt answer closes
it. A slow one does not: storing may take seconds, and says nothing about whether a look-up would come in time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.adapters.behind import Behind
from gateway.adapters.health import Health
from gateway.adapters.semantic_points import collection_name, match, payload, point_id
from gateway.core.breaker import Breaker
from gateway.ports import Clock, Match, Observer, Vector

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient
    from qdrant_client.models import Filter

_SERVER = "Qdrant server"
_SILENT_S = 0.01
"""A look-up that was given up on after this long counts against the server, which answers in a millisecond or two."""
_PRUNE_EVERY_ADDS = 1_000
"""Expired points are filtered at each read; now and then they are also deleted, so that the server does not fill."""


class QdrantIndex:
    """A look-up waits `timeout_s` at most; storing happens after the answer and may take `write_timeout_s`."""

    def __init__(
        self,
        client: AsyncQdrantClient,
        *,
        engine: str,
        dimensions: int,
        observer: Observer,
        clock: Clock,
        timeout_s: float = 0.05,
        write_timeout_s: float = 2.0,
    ) -> None:
        self._client = client
        self.collection = collection_name(engine, dimensions)
        self._dimensions = dimensions
        self._clock = clock
        self._timeout_s = timeout_s
        self._write_timeout_s = write_timeout_s
        self._health = Health("semantic_cache", observer)
        self._breaker = Breaker()
        self._prober = Behind(self._probe, pause_s=self._breaker.open_s / 2)
        self._ready = False
        self._adds = 0

    @classmethod
    def connect(
        cls, url: str, api_key: str | None = None, *, engine: str, dimensions: int, observer: Observer, clock: Clock
    ) -> QdrantIndex:
        """For a server by URL. Contacts nobody yet."""
        from qdrant_client import AsyncQdrantClient

        client = AsyncQdrantClient(url=url, api_key=api_key, check_compatibility=False)  # its check blocks and prints
        return cls(client, engine=engine, dimensions=dimensions, observer=observer, clock=clock)

    async def start(self) -> None:
        """Create the collection where it is missing. A server that is down is told, not raised: `add` tries again."""
        self._prober.start()
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._create_if_missing()
        except Exception as broken:  # the client raises httpx, pydantic and its own errors
            self._failed("preparing the collection", broken)

    async def stop(self) -> None:
        await self._prober.stop()
        await self._client.close()

    async def nearest(self, scope: str, vector: Vector, threshold: float) -> Match | None:
        if not self._breaker.allows(self._clock.monotonic_s()):
            return None
        asked_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._client.query_points(
                    self.collection,
                    query=list(vector),
                    query_filter=self._live_in(scope),
                    limit=1,
                    score_threshold=threshold,
                    with_payload=True,
                )
            best = match(found.points[0].payload, found.points[0].score) if found.points else None
        except asyncio.CancelledError:
            if self._clock.monotonic_s() - asked_s >= _SILENT_S:
                self._failed("look-up", TimeoutError())  # whoever asks has a deadline of its own, and it came first
            raise
        except Exception as broken:  # the client raises httpx, pydantic and its own errors
            self._failed("look-up", broken)
            return None
        self._worked()
        return best

    async def add(self, scope: str, vector: Vector, key: str, text: str, ttl_s: int, owner: str = "") -> bool:
        from qdrant_client.models import PointStruct

        if not self._breaker.allows(self._clock.monotonic_s()):
            return False
        fields = payload(scope, key, text, self._clock.unix_s() + ttl_s, owner)
        point = PointStruct(id=point_id(scope, key), vector=list(vector), payload=fields)
        asked_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._create_if_missing()
                await self._client.upsert(self.collection, [point], wait=True)
                await self._prune_now_and_then()
        except Exception as broken:  # the client raises httpx, pydantic and its own errors
            self._failed("storing", broken)
            return False
        if self._clock.monotonic_s() - asked_s <= self._timeout_s:
            self._worked()
        return True

    async def forget(self, owner: str | None = None, key: str | None = None) -> bool:
        from qdrant_client.models import FieldCondition, Filter, FilterSelector, MatchValue

        wanted = {name: value for name, value in (("owner", owner), ("key", key)) if value is not None}
        these = [FieldCondition(key=name, match=MatchValue(value=value)) for name, value in wanted.items()]
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._create_if_missing()
                await self._client.delete(self.collection, FilterSelector(filter=Filter(must=list(these))), wait=True)
        except Exception as broken:  # the client raises httpx, pydantic and its own errors
            self._failed("forgetting", broken)
            return False
        self._worked()
        return True

    async def _probe(self) -> bool:
        """True when the breaker is closed, by this question or before it."""
        if not self._breaker.is_closed:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._client.collection_exists(self.collection)
            except Exception as broken:  # the client raises httpx, pydantic and its own errors
                self._failed("asking again", broken)
            else:
                self._worked()
        return self._breaker.is_closed

    def _failed(self, doing: str, broken: Exception) -> None:
        from qdrant_client.http.exceptions import ResponseHandlingException

        self._ready = False  # the collection may be what is missing: the next `add` looks
        if isinstance(broken, TimeoutError | ResponseHandlingException):  # the latter: the connection failed
            if self._breaker.failed(self._clock.monotonic_s()):
                self._prober.wake()
        else:
            self._breaker.succeeded()  # it answered, if only to refuse
        self._health.broken(_SERVER, _detail(doing, broken))

    def _worked(self) -> None:
        self._breaker.succeeded()
        self._health.mended(_SERVER)

    async def _create_if_missing(self) -> None:
        """Safe when several gateways start at once: losing the race is finding it there."""
        if self._ready:
            return
        from qdrant_client.models import Distance, VectorParams

        if not await self._client.collection_exists(self.collection):
            try:
                await self._client.create_collection(
                    self.collection, vectors_config=VectorParams(size=self._dimensions, distance=Distance.COSINE)
                )
            except Exception:  # the client has no error of its own for a conflict
                if not await self._client.collection_exists(self.collection):
                    raise
            await self._index_fields()
        self._ready = True

    async def _index_fields(self) -> None:
        from qdrant_client.models import KeywordIndexParams, KeywordIndexType, PayloadSchemaType

        by_scope = KeywordIndexParams(type=KeywordIndexType.KEYWORD, is_tenant=True)
        await self._client.create_payload_index(self.collection, "scope", by_scope)
        await self._client.create_payload_index(self.collection, "expires_at", PayloadSchemaType.FLOAT)
        for name in ("owner", "key"):
            await self._client.create_payload_index(self.collection, name, PayloadSchemaType.KEYWORD)

    async def _prune_now_and_then(self) -> None:
        from qdrant_client.models import FieldCondition, Filter, FilterSelector, Range

        self._adds += 1
        if self._adds % _PRUNE_EVERY_ADDS == 0:
            expired = Filter(must=[FieldCondition(key="expires_at", range=Range(lte=self._clock.unix_s()))])
            await self._client.delete(self.collection, FilterSelector(filter=expired), wait=False)

    def _live_in(self, scope: str) -> Filter:
        from qdrant_client.models import FieldCondition, Filter, MatchValue, Range

        return Filter(
            must=[
                FieldCondition(key="scope", match=MatchValue(value=scope)),
                FieldCondition(key="expires_at", range=Range(gt=self._clock.unix_s())),
            ]
        )


def _detail(doing: str, broken: Exception) -> str:
    """The kind of failure only: a client's message may quote the request, and with it a prompt."""
    status = getattr(broken, "status_code", None)
    return f"{doing}: {type(broken).__name__}" + (f" {status}" if status else "")

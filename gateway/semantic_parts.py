"""The embedder and the index: loaded behind the start, kept as long as the process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.adapters.edge_index import EdgeIndex
from gateway.adapters.onnx_embedder import OnnxEmbedder
from gateway.adapters.qdrant_index import QdrantIndex
from gateway.adapters.sentence_embedder import SentenceEmbedder
from gateway.adapters.shared_index import SharedIndex
from gateway.adapters.siblings import Learned, Siblings
from gateway.core.events import Degraded
from gateway.core.seat import Seat
from gateway.ports import Clock, Observer
from gateway.settings import Settings

OwnEmbedder = OnnxEmbedder | SentenceEmbedder
OwnIndex = EdgeIndex | QdrantIndex


class SemanticParts:
    """`loading` says what is awaited and `failure` what went wrong; each is None when there is nothing to say.

    What was started is stopped by `stack`.
    """

    def __init__(
        self,
        settings: Settings,
        seat: Seat,
        siblings: Siblings,
        observer: Observer,
        clock: Clock,
        stack: AsyncExitStack,
    ) -> None:
        self.loading: str | None = "loading" if settings.embedder.engine != "none" else None
        self.failure: str | None = None
        self.embedder: OwnEmbedder | None = None
        self.index: OwnIndex | SharedIndex | None = None
        self._embedder_settings = settings.embedder
        self._index_settings = settings.vectors
        self._folder = _folder(settings.data_dir.absolute() / "vectors", seat)
        self._siblings = siblings if seat.count > 1 and settings.vectors.qdrant_url == "embedded" else None
        self._observer = observer
        self._clock = clock
        self._stack = stack
        self._turn = asyncio.Lock()

    async def load(self, *, with_index: bool) -> None:
        """Whatever of it is not there yet. Never raises: a gateway serves without, and says so."""
        if self._embedder_settings.engine == "none":
            return
        async with self._turn:
            try:
                self.embedder = self.embedder or await self._started_embedder()
                if with_index:
                    self.index = self.index or await self._started_index(self.embedder)
                self.failure = None
            except Exception as error:  # the border to engines that raise what they like
                self.failure = f"{type(error).__name__}: {error}"
                self._observer.tell(Degraded("embedder", self.failure))
            self.loading = None

    async def _started_embedder(self) -> OwnEmbedder:
        settings = self._embedder_settings
        embedder: OwnEmbedder
        if settings.engine == "onnx":
            embedder = OnnxEmbedder()
        else:
            embedder = SentenceEmbedder(settings.model, allow_download=settings.allow_download)
        await embedder.start()
        self._stack.push_async_callback(embedder.stop)
        return embedder

    async def learn(self, question: Learned) -> None:
        """What another worker has stored."""
        if isinstance(self.index, SharedIndex):
            await self.index.learn(question)

    async def _started_index(self, embedder: OwnEmbedder) -> OwnIndex | SharedIndex:
        settings = self._index_settings
        index: OwnIndex
        if settings.qdrant_url == "embedded":
            index = EdgeIndex(
                self._folder,
                engine=embedder.engine,
                dimensions=embedder.dimensions,
                observer=self._observer,
                clock=self._clock,
                max_points=settings.max_points,
            )
        else:
            index = QdrantIndex.connect(
                settings.qdrant_url,
                settings.qdrant_api_key,
                engine=embedder.engine,
                dimensions=embedder.dimensions,
                observer=self._observer,
                clock=self._clock,
            )
        await index.start()
        self._stack.push_async_callback(index.stop)
        return index if self._siblings is None else SharedIndex(index, self._siblings.learned)


def _folder(vectors: Path, seat: Seat) -> Path:
    """The first worker has the one that a gateway of one process has."""
    return vectors if seat.is_first else vectors / f"worker-{seat.number}"

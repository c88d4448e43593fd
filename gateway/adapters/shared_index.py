"""An embedded index of which each worker has a whole one of its own: what one stores, it tells the others.

An embedded shard is one process's. One owner for all would put a look-up's way to another process into every question;
so a question is stored everywhere instead, which only a miss pays for. A worker that was not there when it was told
does not find it: a miss, never a wrong answer. The others hear of it within milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.adapters.siblings import Learned
from gateway.ports import Match, SemanticIndex, Vector


class SharedIndex:
    """Implements `ports.SemanticIndex`. Starting, stopping and forgetting elsewhere are its owner's matter."""

    def __init__(self, own: SemanticIndex, tell: Callable[[Learned], None]) -> None:
        self._own = own
        self._tell = tell

    async def nearest(self, scope: str, vector: Vector, threshold: float) -> Match | None:
        return await self._own.nearest(scope, vector, threshold)

    async def add(self, scope: str, vector: Vector, key: str, text: str, ttl_s: int, owner: str = "") -> bool:
        stored = await self._own.add(scope, vector, key, text, ttl_s, owner)
        self._tell(Learned(scope, vector, key, text, ttl_s, owner))
        return stored

    async def forget(self, owner: str | None = None, key: str | None = None) -> bool:
        return await self._own.forget(owner, key)

    async def learn(self, question: Learned) -> None:
        """Store what another worker has told."""
        it = question
        await self._own.add(it.scope, it.vector, it.key, it.text, it.ttl_s, it.owner)

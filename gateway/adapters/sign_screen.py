"""Which stored vectors can be near another one at all, from one bit a dimension.

Theory of operation. The engine compares a question with every vector of its scope: 20 ms for 50,000 of them, holding
Python's global lock. The *signs* of two vectors tell most of that for 1/32 of the bytes: two unit vectors at an angle
of a radians differ in the sign of a coordinate with a probability of about a / pi (exactly so for random hyperplanes,
Charikar 2002), so at cosine 0.95 about 39 of 384 signs differ, and of two unrelated questions about 190. Measured on
MiniLM 2026-11-23: at cosines of 0.95 to 0.955 (42 pairs) 38.2 on average, deviation 6.2; the law says 38.8 and 5.9.

So the screen drops what differs in more signs than the law's mean and six deviations: after the first 64 dimensions
(21 signs), which is nearly all, then again after each further 64 (74 of 384 at the end). Only then is it asked of what
scope the rest is, because comparing 64 bits of scope takes as long as counting 64 of signs. At most MOST are let
through, the nearest first, and the engine computes their true cosines. What the screen drops wrongly is a miss.
100,000 questions are 7 MB in columns of 64 bits, and numpy gives the lock back while it counts. The first column is
counted in memory of the screen's own (`_apart`): new pages for each look-up would cost as much as the counting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import acos, floor, pi, sqrt
from typing import TYPE_CHECKING
from uuid import UUID

from gateway.ports import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 64
_DEVIATIONS = 6.0
_WORD_BITS = 64
_LEAST_ROWS = 256


class SignScreen:
    """Blocking, and not for two threads. Ids are UUIDs; an id that is added twice is screened twice, found once."""

    def __init__(self, dimensions: int) -> None:
        import numpy as np

        self._dimensions = dimensions
        self._words = -(-dimensions // _WORD_BITS)
        self._rows = 0
        self._signs = np.zeros((self._words, _LEAST_ROWS), np.uint64)
        self._apart = np.zeros(_LEAST_ROWS, np.uint64)
        self._scopes = np.zeros(_LEAST_ROWS, np.uint64)
        self._ids = np.zeros((_LEAST_ROWS, 16), np.uint8)

    def add(self, points: Sequence[tuple[str, str, Vector]]) -> None:
        """Scope, id and vector of each."""
        import numpy as np

        end = self._rows + len(points)
        while end > len(self._scopes):
            self._grow()
        new = slice(self._rows, end)
        self._signs[:, new] = self._signs_of([vector for _, _, vector in points]).T
        self._scopes[new] = [_hash(scope) for scope, _, _ in points]
        self._ids[new] = np.frombuffer(b"".join(UUID(name).bytes for _, name, _ in points), np.uint8).reshape(-1, 16)
        self._rows = end

    def near(self, scope: str, vector: Vector, threshold: float) -> set[UUID]:
        """Ids of the scope whose cosine may reach `threshold`, and of a few that may not."""
        import numpy as np

        first, *others = self._signs_of([vector])[0]
        apart = np.bitwise_xor(self._signs[0, : self._rows], first, out=self._apart[: self._rows])
        counts = np.bitwise_count(apart)
        rows = np.flatnonzero(counts <= self._bound(threshold, _WORD_BITS))
        rows = rows[self._scopes[rows] == _hash(scope)]
        differing = counts[rows].astype(np.uint16)
        for at, word in enumerate(others, 1):
            differing = differing + np.bitwise_count(self._signs[at, rows] ^ word)
            close = np.flatnonzero(differing <= self._bound(threshold, (at + 1) * _WORD_BITS))
            rows, differing = rows[close], differing[close]
        if rows.size > MOST:
            rows = rows[np.argpartition(differing, MOST)[:MOST]]
        return {UUID(bytes=self._ids[row].tobytes()) for row in rows}

    def _bound(self, threshold: float, dimensions: int) -> int:
        """The most signs in which so many dimensions of two vectors differ, if their cosine reaches the threshold."""
        counted = min(dimensions, self._dimensions)
        share = acos(max(-1.0, min(1.0, threshold))) / pi
        return floor(counted * share + _DEVIATIONS * sqrt(counted * share * (1 - share)))

    def _signs_of(self, vectors: Sequence[Vector]) -> NDArray[np.uint64]:
        """A row of words for each vector."""
        import numpy as np

        packed = np.zeros((len(vectors), self._words * _WORD_BITS // 8), np.uint8)
        bits = np.packbits(np.asarray(vectors, np.float32) > 0, axis=1)
        packed[:, : bits.shape[1]] = bits
        return packed.view(np.uint64)

    def _grow(self) -> None:
        import numpy as np

        more = len(self._scopes)
        self._signs = np.concatenate([self._signs, np.zeros((self._words, more), np.uint64)], axis=1)
        self._apart = np.zeros(2 * more, np.uint64)
        self._scopes = np.concatenate([self._scopes, np.zeros(more, np.uint64)])
        self._ids = np.concatenate([self._ids, np.zeros((more, 16), np.uint8)])


def _hash(scope: str) -> int:
    """Two scopes with one hash only cost time: the engine compares the scope itself."""
    return int.from_bytes(hashlib.blake2b(scope.encode(), digest_size=8).digest(), "big")

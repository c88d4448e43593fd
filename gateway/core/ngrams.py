"""Hashed n-grams: which letters and words stand side by side, as bucket numbers that are the same on every machine.

Python's own `hash()` differs from process to process, so words are hashed with CRC-32 and sequences with a polynomial
whose bits are then mixed (the finaliser of MurmurHash3, public domain). Many n-grams share a bucket and none can be
read out of it, which is why weights over buckets may be shipped where the texts they were learned from may not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BITS = 13
BUCKETS = 1 << BITS
CHAR_ORDERS = (3, 4, 5)
WORD_ORDERS = (1, 2)

Codes = npt.NDArray[np.uint32]

_WORD = re.compile(r"[a-z]+|\d+|[^\w\s]")
_FACTOR = np.uint32(0x9E3779B1)
_MIX = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_13, _16 = np.uint32(13), np.uint32(16)
_STARTS = tuple(np.uint32(order * pow(int(_FACTOR), order, 1 << 32) % (1 << 32)) for order in range(6))
_EDGES = zlib.crc32(b"^"), zlib.crc32(b"$")


def char_buckets(text: str) -> Codes:
    """Three to five characters at a time, of a text in lower case; space counts once, the ends count as space."""
    spaced = f" {' '.join(text.split())} "
    return _buckets(np.frombuffer(spaced.encode("utf-32-le", "replace"), np.uint32), CHAR_ORDERS)


def word_buckets(text: str) -> Codes:
    """Words and pairs of words, of a text in lower case; signs count as words, and so do its beginning and its end."""
    words = [zlib.crc32(word.encode()) for word in _WORD.findall(text)]
    return _buckets(np.array([_EDGES[0], *words, _EDGES[1]], np.uint32), WORD_ORDERS)


def counted(buckets: Codes) -> tuple[Codes, npt.NDArray[np.float32]]:
    """The buckets that occur, once each and in order, and the logarithm of one more than how often."""
    counts = np.bincount(buckets)
    found = counts.nonzero()[0]
    return found.astype(np.uint32), np.log1p(counts[found].astype(np.float32))


def _buckets(codes: Codes, orders: Sequence[int]) -> Codes:
    """The bucket of every run of `n` codes, for each order `n` that fits. Each order's polynomials grow from those of
    the order before, and differ by where they start from."""
    found, rolled = [np.zeros(0, np.uint32)], codes
    for order in range(1, 1 + min(orders[-1], len(codes))):
        if order > 1:
            rolled = rolled[:-1] * _FACTOR + codes[order - 1 :]
        if order in orders:
            found.append(rolled + _STARTS[order])
    return _mixed(np.concatenate(found)) >> np.uint32(32 - BITS)


def _mixed(codes: Codes) -> Codes:
    """Spreads every input bit over all 32, so that the upper ones are fit to be a bucket."""
    codes = (codes ^ (codes >> _16)) * _MIX[0]
    codes = (codes ^ (codes >> _13)) * _MIX[1]
    return codes ^ (codes >> _16)

"""A prompt as the numbers that the router learns from, small enough for a line of the ledger, without its text.

They are derived from the prompt, not anonymous: hashed n-grams of a short prompt can be compared with those of a guess.
That is why they are kept only where `learning.store_features` says so.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.core.features import Features
from gateway.core.ngrams import BUCKETS, Codes, char_buckets, word_buckets
from gateway.core.signals import SIGNALS, signals

_MOST_TIMES = 255


@dataclass(frozen=True, slots=True)
class PromptNumbers:
    """`raw` are the signals; `chars` and `words` the buckets of the n-grams, each as often as it occurs."""

    raw: npt.NDArray[np.float32]
    chars: Codes
    words: Codes


def numbers_of(features: Features) -> PromptNumbers:
    lower = features.question.lower()
    raw = signals(features.question, features.question_chars)
    return PromptNumbers(raw, char_buckets(lower), word_buckets(lower))


def packed(numbers: PromptNumbers) -> str:
    """Half a kilobyte for a short prompt, ten at most. The same numbers are always the same text."""
    parts = numbers.raw.astype("<f2").tobytes(), _counts(numbers.chars), _counts(numbers.words)
    return base64.b64encode(zlib.compress(b"".join(parts), 6)).decode()


def unpacked(text: str) -> PromptNumbers:
    """The inverse, but for the order of buckets and the precision of signals. Raises ValueError for anything else, also
    for numbers of another version's signals."""
    try:
        whole = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(f"not packed numbers: {error}") from error
    size = 2 * len(SIGNALS)
    chars, rest = _buckets(whole[size:])
    words, rest = _buckets(rest)
    if rest:
        raise ValueError("not packed numbers of this version's signals")
    return PromptNumbers(np.frombuffer(whole[:size], "<f2").astype(np.float32), chars, words)


def _counts(buckets: Codes) -> bytes:
    """How many there are, which, and how often each."""
    counts = np.bincount(buckets, minlength=BUCKETS)
    found = np.flatnonzero(counts)
    often = np.minimum(counts[found], _MOST_TIMES).astype(np.uint8)
    return len(found).to_bytes(2, "little") + found.astype("<u2").tobytes() + often.tobytes()


def _buckets(whole: bytes) -> tuple[Codes, bytes]:
    """What `_counts` wrote, and what stands behind it."""
    size = int.from_bytes(whole[:2], "little")
    if len(whole) < 2 + 3 * size:
        raise ValueError("packed numbers are cut off")
    found = np.frombuffer(whole[2 : 2 + 2 * size], "<u2")
    often = np.frombuffer(whole[2 + 2 * size : 2 + 3 * size], np.uint8)
    if (found >= BUCKETS).any():
        raise ValueError("packed numbers have a bucket that there is not")
    return np.repeat(found, often).astype(np.uint32), whole[2 + 3 * size :]

"""Which requests are in a sample: decided by their ids, so that nothing is drawn and everybody decides alike."""

from __future__ import annotations

import hashlib


def is_chosen(request_id: str, share: float) -> bool:
    """The same id is always chosen or never; over ids the share, 0 to 1, holds."""
    first_bytes = hashlib.sha256(request_id.encode()).digest()[:8]
    return int.from_bytes(first_bytes, "big") < share * 2**64

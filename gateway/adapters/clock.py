"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `ports.Clock`."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_s(self) -> float:
        return time.time()

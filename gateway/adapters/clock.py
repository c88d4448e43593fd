"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `ports.Clock`."""

    monotonic_s = staticmethod(time.monotonic)
    unix_s = staticmethod(time.time)

"""Which run of the machine this is: what a process leaves in the kernel's memory is there until the end of that run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str | None:
    """A random id, the same in all containers of the machine; None where the system has none."""
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return None

"""Ending what an earlier gateway left running, and nothing else.

A pid alone proves nothing: after a crash it may belong to anybody. The pid file therefore also carries the
process's `identity`, and on Linux the signal goes through a pidfd that was opened *before* the identity was
compared, so the process that is signalled is the one that was compared.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from gateway.adapters.child_exec import identity

_POLL_S = 0.01


class StaleChildAlive(RuntimeError):
    """A child of an earlier gateway survived SIGKILL (it hangs in the kernel); nothing can replace it now."""


async def end_stale(pid_file: Path, grace_s: float = 5.0) -> int | None:
    """End the process that `pid_file` describes and wait until it is gone; its pid, or None when there was none.

    SIGTERM, `grace_s` seconds, SIGKILL, as long again. The file is removed. Raises StaleChildAlive.
    """
    recorded = _read(pid_file)
    if recorded is None:
        return None
    pid, expected = recorded
    handle = _open(pid)
    try:
        ours = identity(pid) == expected
        if ours:
            await _end(pid, handle, expected, grace_s)
    finally:
        if handle is not None:
            os.close(handle)
    os.unlink(pid_file)
    return pid if ours else None


async def end_all_stale(folder: Path, grace_s: float = 5.0) -> list[int]:
    """`end_stale` for every pid file of a folder: also for children that today's configuration does not name.

    Only for the owner of the folder (`DataDir`), before it starts its own. Raises StaleChildAlive.
    """
    ended = [await end_stale(pid_file, grace_s) for pid_file in _pid_files(folder)]
    return [pid for pid in ended if pid is not None]


def _pid_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pid"))


async def _end(pid: int, handle: int | None, expected: str, grace_s: float) -> None:
    for end in (signal.SIGTERM, signal.SIGKILL):
        _send(pid, handle, end)
        if await _gone(pid, handle, expected, grace_s):
            return
    raise StaleChildAlive(f"process {pid} of an earlier gateway survives SIGKILL; end it, then start again")


def _read(pid_file: Path) -> tuple[int, str] | None:
    try:
        pid, _, expected = pid_file.read_text(encoding="ascii").strip().partition(" ")
        return int(pid), expected
    except (OSError, ValueError):
        return None


def _open(pid: int) -> int | None:
    """A pidfd, or None where there is no such process or no such call (not Linux, an old kernel, a sandbox)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _send(pid: int, handle: int | None, end: signal.Signals) -> None:
    try:
        if handle is None:
            os.kill(pid, end)
        else:
            signal.pidfd_send_signal(handle, end)
    except ProcessLookupError:
        pass  # it ended by itself: what we wanted


async def _gone(pid: int, handle: int | None, expected: str, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            if handle is None:
                while identity(pid) == expected:  # noqa: ASYNC110 - nobody tells us when another's child ends
                    await asyncio.sleep(_POLL_S)
            else:
                await _readable(handle)
    except TimeoutError:
        return False
    return True


async def _readable(handle: int) -> None:
    """A pidfd becomes readable when its process has ended, reaped or not (pidfd_open(2))."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)

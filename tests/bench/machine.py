"""Processes of a measurement: started on a core of their own, what they use, and ended with their children.

Linux only. Nothing is ended that was not started here.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 10.0


@contextmanager
def process(
    command: Sequence[str], core: int, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Until the block ends; output goes to `log`. Its whole group is ended, the children that it has made too."""
    environment = {**os.environ, **(environ or {})}
    with log.open("ab") as file, ExitStack() as stack:
        started = subprocess.Popen(command, stdout=file, stderr=file, env=environment, process_group=0)
        stack.callback(_end, started)
        os.sched_setaffinity(started.pid, {core})  # before it has made any child of its own
        yield started


def _end(started: subprocess.Popen[bytes]) -> None:
    for farewell in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(started.pid, farewell)
            started.wait(_PATIENCE_S)
            return


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        for children in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            with suppress(OSError):
                left += map(int, children.read_text().split())
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """User and system seconds; the kernel tells them in steps of 10 ms."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks * _TICK_S


def memory_mib(pids: Iterable[int]) -> float:
    """Proportional set size: pages that processes share are counted once."""
    kib = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(port: int, started: subprocess.Popen[bytes], within_s: float) -> None:
    """Raises RuntimeError when the process ends or is too slow."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s and started.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.02)
    raise RuntimeError(f"port {port} was not opened within {within_s:g} s, exit status {started.poll()}")

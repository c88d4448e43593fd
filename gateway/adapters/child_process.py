"""A child process that is kept alive, and never outlives the gateway for long.

Theory of operation
-------------------
One task per child walks this circle until `stop()`:

    STARTING ──ready()──► READY ──exit──► RESTARTING ──backoff──► STARTING …          stop(): ► STOPPED

The task does not end before its process has: also when nobody calls `stop()` and the loop, closing, cancels it.

A child that ends, or is not ready in time, is started again after a delay that doubles up to a cap; one that
lived for `healthy_s` starts again at the shortest delay. Every change of state is told through `on_state`.

No orphan, whatever kills the gateway: `child_exec` ties the child to us (at once, on Linux), and its pid file lets
the next gateway end what was left (certain, `stale_child`). The child leads a session of its own, so Ctrl-C in
the terminal reaches the gateway only, which drains and then stops its children.

A child gets no standard input and a small environment: never the gateway's API keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gateway.adapters import child_exec
from gateway.adapters.stale_child import StaleChildAlive, end_stale

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_LAST_WORDS_BYTES = 2000


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ChildState:
    """`starts` counts processes so far; `detail` says why the last one ended, and is empty before that."""

    phase: Phase
    pid: int | None = None
    starts: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds. The delay before start n+1 after n short lives is `first_s * 2**(n-1)`, at most `cap_s`."""

    first_s: float = 0.1
    cap_s: float = 30.0
    healthy_s: float = 60.0

    def delay_s(self, short_lives: int) -> float:
        """0 short lives in a row counts as one: even a child that lived long is not restarted in a hot loop."""
        doublings = min(max(short_lives - 1, 0), 32)  # beyond 32 every cap is reached, and floats stay small
        return min(self.first_s * 2.0**doublings, self.cap_s)


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. With `announces`, stdout is a pipe for `ready` to read; else it goes to the log with stderr.
    `sockets` are file descriptors of ours that it keeps."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    announces: bool = False
    sockets: tuple[int, ...] = ()


class ChildNotReady(Exception):
    """The child did not become ready in time; the message carries its last words."""


class ChildProcess:
    """One supervised child.

    `ready` is awaited for each process and returns when it can be used; its OSErrors and ValueErrors count as "not
    ready". `ready_s` bounds it, `stop_s` is what a child gets between SIGTERM and SIGKILL. `log_file` is
    truncated by `start()` and opened for appending, so an operator may truncate it at any time; without one, what the
    child says goes where our own words go.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        *,
        ready: Callable[[Process], Awaitable[None]],
        pid_file: Path,
        log_file: Path | None,
        backoff: Backoff | None = None,
        ready_s: float = 30.0,
        stop_s: float = 5.0,
        on_state: Callable[[ChildState], None] | None = None,
    ) -> None:
        self.name = name
        self.state = ChildState(Phase.STOPPED)
        self._command = command
        self._is_ready = ready
        self._pid_file = pid_file
        self._log_file = log_file
        self._backoff = backoff or Backoff()
        self._ready_s = ready_s
        self._stop_s = stop_s
        self._on_state = on_state
        self._ready = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; returns at once. Call it from the loop of the main thread (`child_exec` says why)."""
        if self._supervisor is None:
            if self._log_file is not None:
                self._log_file.write_bytes(b"")
            self._supervisor = asyncio.create_task(self._supervise(), name=f"supervise {self.name}")

    async def wait_ready(self, timeout_s: float) -> None:
        """Returns when the child is ready. Raises ChildNotReady after `timeout_s`, or when nobody tries any more."""
        ready = asyncio.create_task(self._ready.wait())
        watched = {ready} | ({self._supervisor} if self._supervisor else set())
        try:
            await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not self._ready.is_set():
            why = self.state.detail or self._last_words() or "it said nothing"
            raise ChildNotReady(f"{self.name} is not ready: {why}")

    async def stop(self) -> None:
        """SIGTERM, at most `stop_s`, SIGKILL; returns when the child is gone. Idempotent."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        supervisor.cancel()
        await asyncio.wait({supervisor})
        self._supervisor = None
        self._tell(Phase.STOPPED)
        if not supervisor.cancelled():
            supervisor.result()

    async def _supervise(self) -> None:
        try:
            await end_stale(self._pid_file, self._stop_s)
        except StaleChildAlive as exc:
            self._tell(Phase.STOPPED, str(exc))
            return
        try:
            await self._restart_forever()
        finally:
            _remove(self._pid_file)

    async def _restart_forever(self) -> None:
        loop = asyncio.get_running_loop()
        short_lives = 0
        while True:
            born_s = loop.time()
            why = await self._live()
            short_lives = 0 if loop.time() - born_s >= self._backoff.healthy_s else short_lives + 1
            self._tell(Phase.RESTARTING, why)
            await asyncio.sleep(self._backoff.delay_s(short_lives))

    async def _live(self) -> str:
        """One process from its start to its end; returns why it ended."""
        try:
            async with self._running() as process:
                self._tell(Phase.STARTING, self.state.detail, process.pid)
                return await self._watch(process)
        except OSError as exc:
            return f"{self.name} could not be started: {exc.strerror}"

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[Process]:
        """A process that has ended when the block is left, also when its start is cancelled half-way."""
        spawning = asyncio.ensure_future(self._spawn())
        try:
            yield await asyncio.shield(spawning)
        finally:
            with contextlib.suppress(OSError):
                await self._end(await spawning)

    async def _watch(self, process: Process) -> str:
        exited = asyncio.create_task(process.wait())
        ready = asyncio.create_task(self._become_ready(process))
        try:
            await asyncio.wait({exited, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not exited.done() and (trouble := ready.result()):
                await self._end(process)
                return self._with_last_words(trouble)
            if not exited.done():
                self._tell(Phase.READY, pid=process.pid)
            return self._obituary(await exited)
        finally:
            exited.cancel()
            ready.cancel()

    async def _become_ready(self, process: Process) -> str:
        """Empty when ready, else why not."""
        try:
            async with asyncio.timeout(self._ready_s):
                await self._is_ready(process)
        except TimeoutError:
            return f"{self.name} was not ready after {self._ready_s:g} s"
        except (OSError, ValueError) as exc:
            return f"{self.name} is not usable: {exc}"
        return ""

    async def _spawn(self) -> Process:
        tied = [sys.executable, "-I", "-S", child_exec.__file__, str(os.getpid()), str(self._pid_file)]
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        with self._log_file.open("ab") if self._log_file else nullcontext() as log:
            return await asyncio.create_subprocess_exec(
                *tied,
                *self._command.argv,
                stdin=DEVNULL,
                stdout=PIPE if self._command.announces else log,
                stderr=log,
                env={**inherited, **self._command.environment},
                pass_fds=self._command.sockets,
                start_new_session=True,
            )

    async def _end(self, process: Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self._stop_s):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _obituary(self, status: int) -> str:
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return self._with_last_words(f"{self.name} {how}")

    def _with_last_words(self, why: str) -> str:
        words = self._last_words()
        return f"{why}: {words}" if words else why

    def _last_words(self) -> str:
        return last_words(self._log_file) if self._log_file else ""

    def _tell(self, phase: Phase, detail: str = "", pid: int | None = None) -> None:
        if phase is Phase.READY:
            self._ready.set()
        else:
            self._ready.clear()
        self.state = ChildState(phase, pid, self.state.starts + (phase is Phase.STARTING), detail)
        if self._on_state:
            self._on_state(self.state)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


def last_words(log_file: Path) -> str:
    """The last line of a log, without control characters; empty when there is none."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LAST_WORDS_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return "".join(char for char in last.strip() if char.isprintable())

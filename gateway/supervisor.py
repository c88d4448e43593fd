"""`thriftgate serve --workers N`: one process that answers nothing, and N that do.

Theory of operation. The supervisor keeps what a gateway has once (`household`), the sockets, and its workers alive. A
worker is `python -m gateway.worker`: started anew, never forked, so nothing of a parent with threads is in it. It asks
the supervisor for the configuration, so that one which is started again serves what the others serve, whatever the
files say by now. A reload asks all workers to get ready first, and only if all can does it ask them to serve.

Each worker has a listening socket of its own, which the supervisor holds open: what waits in it when a worker dies is
answered by the next. At the end the supervisor closes them before it asks the workers to stop.

Whatever kills the supervisor, no worker stays: the kernel tells it (`child_exec`), and its channel closes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

import gateway
from gateway.adapters.child_process import Backoff, ChildNotReady, ChildProcess, ChildState, Command, Phase
from gateway.adapters.lent_model import ModelState, write_states
from gateway.adapters.worker_channel import Declined, Parts, Unheard
from gateway.adapters.worker_hub import WorkerHub
from gateway.fixed_settings import refused_changes
from gateway.household import HOUSEHOLD_ERRORS, OwnHousehold, Say
from gateway.settings import Loaded
from gateway.yaml_source import ConfigError

START_ERRORS = (*HOUSEHOLD_ERRORS, ChildNotReady)
"""What keeps a gateway from being started; each message names the mend."""
_SOCKET = "workers.sock"
_START_S = 120.0
"""What a worker gets to import, to read the books and to listen, on a busy machine."""
_STOP_S = 10.0
"""What it gets beyond `server.drain_s`: to write what waits to be written."""
_BACKOFF = Backoff(first_s=0.1, cap_s=10.0, healthy_s=30.0)


class Supervisor:
    """Raises what `OwnHousehold` raises."""

    def __init__(self, loaded: Loaded, listeners: Sequence[socket.socket], say: Say) -> None:
        self._loaded = loaded
        self._say = say
        self._listeners = listeners
        self._household = OwnHousehold(loaded.settings, say, on_model=self._tell_models)
        self._hub = WorkerHub(len(listeners), welcome=self._welcome, reload=self.reload, hear=self._hear)
        self._socket = self._household.data_dir.socket(_SOCKET)
        self._workers = [self._worker(number, each) for number, each in enumerate(listeners)]
        self._serving = [asyncio.Event() for _ in listeners]
        self._ready: set[int] = set()
        self._reloading = asyncio.Lock()
        self._ending = asyncio.Event()
        self._failed: str | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> str | None:
        """Until SIGTERM or SIGINT. Returns why it could not begin, None if it could."""
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, self._ending.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        try:
            await self._household.start()
            await self._hub.start(self._socket)
            for worker in self._workers:
                await worker.start()
            await self._ending.wait()
        finally:
            await self._stop()
        return self._failed

    async def reload(self) -> str:
        """All workers serve by the configuration as it is now, or none does. Raises Declined with every problem."""
        async with self._reloading:
            try:
                loaded = await asyncio.to_thread(self._loaded.again)
                if fixed := refused_changes(self._loaded, loaded):
                    raise ConfigError(*fixed)
                details = await self._hub.ask_all("prepare", loaded.written())
            except (ConfigError, Declined, Unheard) as error:
                self._hub.tell_all("drop", str(error).encode())
                raise Declined(str(error)) from error
            self._loaded = loaded  # from here on a worker that is started begins with it
            await self._hub.ask_all("serve")
            detail = details[0][0].decode() if details else ""
            return f"{detail}, workers: {len(details)}"

    async def _stop(self) -> None:
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        await self._hub.stop()
        for task in self._background:
            task.cancel()
        await self._household.stop()
        self._socket.unlink(missing_ok=True)

    def _worker(self, number: int, listener: socket.socket) -> ChildProcess:
        root = str(Path(gateway.__file__).parent.parent)
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        argv = [sys.executable, "-P", "-m", "gateway.worker", str(self._socket), str(number), str(len(self._listeners))]
        fd = listener.fileno()

        async def ready(_process: Process) -> None:
            await self._serving[number].wait()

        return ChildProcess(
            f"worker {number}",
            Command([*argv, str(fd)], {**os.environ, "PYTHONPATH": path}, sockets=(fd,)),
            ready=ready,
            pid_file=self._household.data_dir.file(f"worker-{number}.pid"),
            log_file=None,
            backoff=_BACKOFF,
            ready_s=_START_S,
            stop_s=self._loaded.settings.server.drain_s + _STOP_S,
            on_state=lambda state: self._worker_changed(number, state),
        )

    def _worker_changed(self, number: int, state: ChildState) -> None:
        if state.phase is not Phase.READY and self._serving[number].is_set():
            self._serving[number].clear()
            self._tell_workers()
        if state.phase is Phase.READY and state.starts > 1:
            self._say(f"worker {number} serves again")
        if state.phase is Phase.RESTARTING and not self._ending.is_set():
            self._say(f"{state.detail}; another is started")

    async def _welcome(self) -> Parts:
        async with self._reloading:  # else it could begin with what is just being replaced
            return [self._loaded.written(), self._models()]

    def _models(self) -> bytes:
        return write_states({name: ModelState.of(server) for name, server in self._household.models.items()})

    def _tell_models(self) -> None:
        self._hub.tell_all("models", self._models())

    def _tell_workers(self) -> None:
        self._hub.tell_all("workers", str(sum(each.is_set() for each in self._serving)).encode())

    def _hear(self, number: int, what: str, text: str) -> None:
        match what:
            case "serving":
                self._serving[number].set()
                self._tell_workers()
            case "ready":
                self._ready_now(number)
            case "say":
                self._say(text)
            case "cannot":
                if not self._ready:  # none ever served: starting others would not help
                    self._failed = text
                    self._ending.set()

    def _ready_now(self, number: int) -> None:
        if number not in self._ready:
            self._ready.add(number)
            if len(self._ready) == len(self._workers):
                self._say("ready")

    def _hung_up(self) -> None:
        task = asyncio.create_task(self._reload_and_say())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _reload_and_say(self) -> None:
        try:
            await self.reload()
        except Declined as error:
            self._say(f"not reloaded: {error}")


def supervise(loaded: Loaded, listeners: Sequence[socket.socket], say: Say) -> str | None:
    """As `Supervisor.run`. Raises what `Supervisor` raises."""

    async def run() -> str | None:
        return await Supervisor(loaded, listeners, say).run()

    return asyncio.run(run())

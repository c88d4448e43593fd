"""The HTTP server of one process, and the sockets it listens on."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from gateway.http.connection import Application, Connection

_BACKLOG = 2_048


class HttpServer(uvicorn.Server):
    """Reloads on SIGHUP. Ends with status 0 on SIGTERM and SIGINT: uvicorn would raise the signal again after
    its shutdown. `drain_s` is what running requests get then."""

    def __init__(
        self,
        app: Application,
        drain_s: float,
        reload: Callable[[], None],
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(_config(app, drain_s))
        self._hung_up = Hangup(reload, self.leave)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn takes SIGTERM and SIGINT with `signal.signal` and leaves SIGHUP to its default, which ends the
        # process. The loop's own handler runs between two callbacks, so unlike a plain one it may start a task.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up)
        await super().startup(sockets)
        # What a start leaves behind (124,000 objects: types, prices, routes) does not die. Walking all of it made a
        # full collection, in which nothing streams, take 90 to 280 ms; without it, about 40 (2026-11-23, busy machine).
        gc.collect()
        gc.freeze()
        # A request makes some 700 objects, so by default the young were looked through with each one: 6 % of its CPU.
        gc.set_threshold(20_000, 20, 20)
        if self.started:
            self._on_started()

    def leave(self) -> None:
        """Let running requests end, then stop."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class Hangup:
    """What a SIGHUP means: `reload`; or `leave`, when the terminal that the process was started from was closed."""

    def __init__(self, reload: Callable[[], None], leave: Callable[[], None]) -> None:
        self._reload = reload
        self._leave = leave
        self._has_terminal = sys.stdin is not None and sys.stdin.isatty()

    def __call__(self) -> None:
        if self._has_terminal and not sys.stdin.isatty():  # nobody asks for a reload
            self._leave()
        else:
            self._reload()


def listen(host: str, port: int) -> socket.socket:
    """Bound here and not by the server, so that a taken port is one clear line. Raises OSError."""
    return _bound(host, port, shared=False)


def listen_together(host: str, port: int, count: int) -> list[socket.socket]:
    """So many sockets on one port, one for each worker: the kernel spreads connections over them by a hash.

    With one socket for all, whoever wakes first takes what waits: of 64 connections at once two workers had 17 and 47,
    with two sockets 27 and 37, and the p99 was 83 to 90 ms instead of 40 to 68 (2026-11-23, two cores). A connection
    that was meant for a worker that has died waits until there is another. Raises OSError.
    """
    with _bound(host, port, shared=False) as alone:  # else another gateway of this user could share the port unseen
        port = alone.getsockname()[1]
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            sockets.append(_bound(host, port, shared=True))
    except OSError:
        for made in sockets:
            made.close()
        raise
    return sockets


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: Application, drain_s: float) -> uvicorn.Config:
    """httptools is required: with h11, uvicorn ran a request hidden behind both Content-Length and Transfer-Encoding
    (1 of 8 forms; httptools 0 of 8, 2026-11). So is uvloop: asyncio's own cost 44 ms a keep-alive POST with workers."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        proxy_headers=False,  # nothing here asks who is calling by address
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="error",
        server_header=False,
        timeout_graceful_shutdown=round(drain_s),
    )

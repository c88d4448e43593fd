"""One of several processes that answer requests; its `supervisor` starts it, and is asked for everything.

Run as `python -m gateway.worker CHANNEL SEAT SEATS LISTENER`, of which the last is a file descriptor.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Mapping

import orjson
import uvloop

from gateway.adapters.lent_model import LentModel, read_states
from gateway.adapters.siblings import SNAPSHOT_S, Learned, SupervisedSiblings, kind_of
from gateway.adapters.valkey_child import url_of
from gateway.adapters.worker_channel import Parts, WorkerChannel
from gateway.app import START_ERRORS, Gateway, Place
from gateway.core.seat import Seat
from gateway.generation import Generation
from gateway.http_server import HttpServer
from gateway.settings import Loaded, Settings, read_back
from gateway.yaml_source import ConfigError

_HELLO_S = 60.0


class Lodging:
    """Implements `Household` with what the supervisor keeps."""

    def __init__(self, settings: Settings, models: Mapping[str, LentModel]) -> None:
        self.models = models
        embedded = settings.state.redis_url == "embedded"
        self.redis_url = url_of(settings.data_dir) if embedded else settings.state.redis_url

    async def start(self) -> None:
        """The supervisor has."""

    async def stop(self) -> None:
        """The supervisor will."""


class Worker:
    """One seat, from the hello to the end."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._channel: WorkerChannel | None = None
        self._models: dict[str, LentModel] = {}
        self._gateway: Gateway | None = None
        self._built = asyncio.Event()
        self._next: Generation | None = None
        self._shown = b""

    async def run(self, channel_path: str, listener: socket.socket) -> int:
        reader, writer = await asyncio.open_unix_connection(channel_path)
        self._channel = channel = WorkerChannel(reader, writer, self._answer)
        self._siblings = SupervisedSiblings(channel)
        written, models, *inherited = await channel.ask("hello", str(self._seat.number).encode(), within_s=_HELLO_S)
        loaded = read_back(written, _only_the_supervisor_reads)
        self._models = {name: LentModel(state, self._seat) for name, state in read_states(models).items()}
        place = Place(Lodging(loaded.settings, self._models), self._seat, self._siblings)
        try:
            self._gateway = gateway = Gateway(loaded, self._say, place=place)
        except (ConfigError, *START_ERRORS) as error:
            channel.tell("cannot", str(error).encode())
            await channel.close()
            return 1
        for counted in inherited:
            gateway.inherit(counted)
        self._built.set()
        return await self._serve(gateway, loaded, listener, channel)

    async def _serve(self, gateway: Gateway, loaded: Loaded, listener: socket.socket, channel: WorkerChannel) -> int:
        drain_s = loaded.settings.server.drain_s
        server = HttpServer(gateway.front, drain_s, gateway.reload_behind, lambda: channel.tell("serving"))
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._show_forever(gateway, channel),
                self._tell_ready(gateway, channel),
                _orphaned(server, channel),
            )
        ]
        await server.serve(sockets=[listener])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._show(gateway, channel)
        await channel.close()
        return 0 if server.started else 1

    async def _answer(self, what: str, parts: Parts) -> Parts:
        match what:
            case "models":
                for name, state in read_states(parts[0]).items():
                    self._models[name].hear(state)
                return ()
            case "workers":
                self._siblings.serving = int(parts[0])
                return ()
        await self._built.wait()
        gateway = self._gateway
        assert gateway is not None
        match what:
            case "snapshot":
                return [await gateway.snapshot(kind_of(parts[0]))]
            case "forget":
                if not await gateway.forget_here(*orjson.loads(parts[0])):
                    raise RuntimeError("a part of the cache could not be reached")
            case "learned":
                await gateway.learn(Learned.of(*parts))
            case "prepare":
                self._next = await gateway.prepare(lambda: read_back(parts[0], _only_the_supervisor_reads))
                return [str(self._next).encode()]
            case "serve":
                assert self._next is not None
                gateway.serve_by(self._next)
                self._next = None
            case "drop":
                self._next = None
                gateway.refuse(parts[0].decode())
        return ()

    def _say(self, line: str) -> None:
        """All workers do the same, so one of them says it."""
        if self._seat.is_first and self._channel is not None:
            self._channel.tell("say", line.encode())

    async def _show_forever(self, gateway: Gateway, channel: WorkerChannel) -> None:
        """At most a hundredth of the time: 300 combinations of services and models take 20 ms (2026-11-23)."""
        loop, pause_s = asyncio.get_running_loop(), SNAPSHOT_S
        while True:
            await asyncio.sleep(pause_s)
            began_s = loop.time()
            await self._show(gateway, channel)
            pause_s = max(SNAPSHOT_S, 100 * (loop.time() - began_s))

    async def _show(self, gateway: Gateway, channel: WorkerChannel) -> None:
        """The metrics. Tallies are made again from the ledger's lines."""
        snapshot = await gateway.snapshot("metrics")
        if snapshot != self._shown:
            self._shown = snapshot
            channel.tell("snapshot", b"metrics", snapshot)

    async def _tell_ready(self, gateway: Gateway, channel: WorkerChannel) -> None:
        await gateway.ready.wait()
        channel.tell("ready")


async def _orphaned(server: HttpServer, channel: WorkerChannel) -> None:
    await channel.closed.wait()
    server.leave()


def _only_the_supervisor_reads() -> Loaded:
    raise ConfigError


def main(argv: list[str]) -> int:
    channel, number, count, fd = argv
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    with socket.socket(fileno=int(fd)) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Worker(Seat(int(number), int(count))).run(channel, listener))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

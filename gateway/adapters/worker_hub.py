"""The supervisor's end of all talks with its workers (`siblings` lists what is said): who is there, and what each has
shown last. What one worker has to say to the others it passes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from gateway.adapters.siblings import RELOAD_S, SNAPSHOT_S, SnapshotKind, kind_of
from gateway.adapters.worker_channel import Declined, Parts, Unheard, WorkerChannel

_RELAY_S = 5.0


class WorkerHub:
    """Between `start` and `stop` it listens on a unix socket of its own.

    `welcome` is asked for what a new worker begins with, `reload` does what one was asked to do by its clients, and
    `hear` is told by which worker what was said that is for the supervisor itself.
    """

    def __init__(
        self,
        count: int,
        *,
        welcome: Callable[[], Awaitable[Parts]],
        reload: Callable[[], Awaitable[str]],
        hear: Callable[[int, str, str], None],
    ) -> None:
        self._count = count
        self._welcome = welcome
        self._reload = reload
        self._hear = hear
        self._channels: dict[int, WorkerChannel] = {}
        self._shown: dict[tuple[int, str], bytes] = {}
        self._server: asyncio.Server | None = None

    @property
    def seated(self) -> list[int]:
        """Who is there, in order."""
        return sorted(self._channels)

    async def start(self, path: Path) -> None:
        """Nobody but this user can speak here."""
        with suppress(FileNotFoundError):
            os.unlink(path)  # left by a supervisor that was killed; the data directory is ours
        self._server = await asyncio.start_unix_server(self._connected, path, start_serving=False)
        os.chmod(path, 0o600)
        await self._server.start_serving()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for channel in list(self._channels.values()):
            await channel.close()

    def tell_all(self, what: str, *parts: bytes) -> None:
        for channel in self._channels.values():
            channel.tell(what, *parts)

    async def ask_all(self, what: str, *parts: bytes, within_s: float = RELOAD_S) -> list[Parts]:
        """Everybody's answers, in order. A worker that dies meanwhile is nobody any more. Raises Declined with the
        first reason why one cannot, and Unheard when one is there and does not answer."""
        channels = [self._channels[number] for number in self.seated]
        return await _answers(channels, what, parts, within_s)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A worker: it says its number first."""
        number = -1

        async def handle(what: str, parts: Parts) -> Parts:
            nonlocal number
            if what == "hello":
                number = int(parts[0])
                self._channels[number] = channel
                return await self._greeting(number)
            return await self._answer(number, what, parts)

        channel = WorkerChannel(reader, writer, handle)
        await channel.closed.wait()
        if self._channels.get(number) is channel:
            del self._channels[number]

    async def _greeting(self, number: int) -> Parts:
        """And what the worker before it in this seat has counted."""
        counted = self._shown.get((number, "metrics"))
        return [*await self._welcome(), *([] if counted is None else [counted])]

    async def _answer(self, number: int, what: str, parts: Parts) -> Parts:
        others = {seat: channel for seat, channel in self._channels.items() if seat != number}
        match what:
            case "snapshot":
                self._shown[number, kind_of(parts[0])] = parts[1]
            case "snapshots":
                return await self._snapshots(number, kind_of(parts[0]))
            case "forget":
                if len(others) < self._count - 1:
                    raise Declined("A worker is being started again.")
                await _answers(list(others.values()), what, parts, _RELAY_S)
            case "learned":
                for channel in others.values():
                    channel.tell(what, *parts)
            case "reload":
                return [(await self._reload()).encode()]
            case _:
                self._hear(number, what, b"".join(parts).decode())
        return ()

    async def _snapshots(self, asking: int, kind: SnapshotKind) -> Parts:
        found = await asyncio.gather(*(self._snapshot(n, kind) for n in range(self._count) if n != asking))
        return [snapshot for snapshot in found if snapshot]

    async def _snapshot(self, number: int, kind: SnapshotKind) -> bytes:
        """Of now if the worker answers, else the last it has shown; empty if it never did."""
        channel = self._channels.get(number)
        if channel is not None:
            try:
                (shown,) = await channel.ask("snapshot", kind.encode(), within_s=SNAPSHOT_S)
            except (Declined, Unheard):
                pass
            else:
                self._shown[number, kind] = shown
        return self._shown.get((number, kind), b"")


async def _answers(channels: list[WorkerChannel], what: str, parts: Parts, within_s: float) -> list[Parts]:
    asked = [channel.ask(what, *parts, within_s=within_s) for channel in channels]
    answers = []
    for channel, answer in zip(channels, await asyncio.gather(*asked, return_exceptions=True), strict=True):
        if isinstance(answer, Unheard) and channel.closed.is_set():
            continue
        if isinstance(answer, BaseException):
            raise answer
        answers.append(answer)
    return answers

"""The server under every flavour: real sockets, h11 for HTTP, one owner for every connection."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

import h11

from tests.loopback.answer import Answer
from tests.loopback.exchange import Exchange
from tests.loopback.flavour import Flavour, Received, Refusal
from tests.loopback.steps import Say, Step


class Upstream:
    """A provider that is listening: what tests ask and script."""

    def __init__(self, flavour: Flavour, port: int) -> None:
        self.flavour = flavour
        self.port = port
        self.requests: list[Received] = []
        self.numbers = count(1)
        self.connections = 0
        self.in_flight = 0
        self.peak_in_flight = 0
        self._script: deque[Step] = deque()
        self._default: Step = Say()
        self._arrival = asyncio.Condition()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.flavour.base_path}"

    @property
    def api_key(self) -> str:
        return self.flavour.api_key

    @property
    def refusals(self) -> list[Refusal]:
        """Every rule that was broken; scripted refusals are not among them."""
        return [request.refusal for request in self.requests if request.refusal]

    def script(self, *steps: Step | Answer) -> None:
        """How to answer the next chat requests, in order. A request that breaks a rule is refused and uses no step."""
        self._script.extend(_step(step) for step in steps)

    def always(self, step: Step | Answer) -> None:
        """How to answer every chat request for which no step is scripted."""
        self._default = _step(step)

    async def arrival(self, nth: int = 1) -> Received:
        """Wait for the n-th request of all, and return it."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= nth)
        return self.requests[nth - 1]

    async def answer(self, exchange: Exchange) -> None:
        """Refuse, look up, or play the next step."""
        request = exchange.request
        request.refusal = self.flavour.check(request)
        if request.refusal is not None:
            await exchange.refuse(request.refusal)
        elif (found := self.flavour.lookup(request)) is not None:
            await exchange.respond_json(found)
        else:
            step = self._script.popleft() if self._script else self._default
            await step.play(exchange)

    async def record(self, request: Received) -> None:
        async with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()


def _step(step: Step | Answer) -> Step:
    return Say(step) if isinstance(step, Answer) else step


@asynccontextmanager
async def serve(flavour: Flavour, port: int = 0) -> AsyncIterator[Upstream]:
    """Listen on a free port of 127.0.0.1 until the block is left. A bug in a step fails the test there."""
    tasks: set[asyncio.Task[None]] = set()
    upstream: Upstream

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.connections += 1
        tasks.add(asyncio.ensure_future(_Connection(upstream, reader, writer).run()))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    upstream = Upstream(flavour, server.sockets[0].getsockname()[1])
    try:
        yield upstream
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for failure in ended:
        if isinstance(failure, Exception):
            raise failure


class _Connection:
    """One client connection: requests in, answers out, until either side closes it."""

    def __init__(self, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._upstream = upstream
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError):
                while (request := await self._read_request()) is not None:
                    await self._upstream.record(request)
                    await self._exchange(request)
                    if self._http.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                        break
                    self._http.start_next_cycle()
        finally:
            self._writer.close()

    async def _read_request(self) -> Received | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            match event:
                case h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(65536))
                case h11.Request():
                    head = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage() if head is not None:
                    return self._received(head, bytes(body))
                case _:
                    return None

    def _received(self, head: h11.Request, body: bytes) -> Received:
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        try:
            parsed = json.loads(body) if body else None
        except ValueError:
            parsed = None
        return Received(next(self._upstream.numbers), head.method.decode(), head.target.decode(), headers, body, parsed)

    async def _exchange(self, request: Received) -> None:
        """Answer, and watch the client at the same time: a read that returns means it closed (or sent more)."""
        upstream = self._upstream
        upstream.in_flight += 1
        upstream.peak_in_flight = max(upstream.peak_in_flight, upstream.in_flight)
        exchange = Exchange(upstream.flavour, request, self._http, self._writer)
        answering = asyncio.ensure_future(upstream.answer(exchange))
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                request.disconnected.set()
                answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
        except ConnectionError:
            request.disconnected.set()
            raise
        finally:
            upstream.in_flight -= 1
            answering.cancel()
            watching.cancel()
            await asyncio.gather(answering, watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Returns when the client has closed. What it sends ahead of its turn is kept."""
        with suppress(ConnectionError):
            while data := await self._reader.read(65536):
                self._http.receive_data(data)

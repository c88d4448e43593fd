"""One request and its response on a real connection: the verbs that the steps of a script are made of."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

import h11

from tests.loopback.answer import Answer
from tests.loopback.flavour import Flavour, Frames, Received, Refusal

_SLICE_BYTES = 64


class Exchange:
    """Sends one response, or part of one. Every write is flushed, so a piece is on the wire when `send` returns."""

    def __init__(self, flavour: Flavour, request: Received, http: h11.Connection, writer: asyncio.StreamWriter) -> None:
        self.flavour = flavour
        self.request = request
        self._http = http
        self._writer = writer

    @property
    def streaming(self) -> bool:
        return bool(self.request.body.get("stream"))

    def answer(self, scripted: Answer | None) -> Answer:
        """The scripted answer or the echo, cut where the request asks for it."""
        body = self.request.body
        return self.flavour.fit(body, scripted or self.flavour.echo(body))

    def frames(self, scripted: Answer | None) -> Frames:
        """The body in portions. A whole answer is cut in slices too, so that it can be cut, stalled and gated."""
        answer = self.answer(scripted)
        if self.streaming:
            return self.flavour.frames(self.request, answer)
        body = json.dumps(self.flavour.whole(self.request, answer), ensure_ascii=False).encode()
        slices = tuple(body[i : i + _SLICE_BYTES] for i in range(0, len(body), _SLICE_BYTES))
        return Frames("application/json", slices[:-1], tail=slices[-1])

    async def begin(self, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of a response whose length is not known."""
        fields = {"content-type": content_type} | self.flavour.headers(self.request) | dict(headers or {})
        self._put(h11.Response(status_code=status, headers=list(fields.items())))
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        if data:
            self._put(h11.Data(data=data))
        await self._writer.drain()

    async def send_pieces(self, pieces: tuple[bytes, ...]) -> None:
        """Send tokens one write each, and count them."""
        for piece in pieces:
            await self.send(piece)
            self.request.produced_tokens += 1

    async def finish(self) -> None:
        self._put(h11.EndOfMessage())
        await self._writer.drain()
        self.request.completed.set()

    async def respond(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a whole response."""
        fields = self.flavour.headers(self.request) | dict(headers) | {"content-length": str(len(body))}
        self._put(h11.Response(status_code=status, headers=list(fields.items())))
        self._put(h11.Data(data=body))
        await self.finish()

    async def respond_json(self, value: Mapping[str, Any]) -> None:
        await self.respond(200, json.dumps(value, ensure_ascii=False).encode(), {"content-type": "application/json"})

    async def refuse(self, refusal: Refusal) -> None:
        headers = {"content-type": "application/json", **refusal.headers}
        await self.respond(refusal.status, json.dumps(refusal.body).encode(), headers)

    async def send_raw(self, data: bytes) -> None:
        """Bytes outside of HTTP's rules, for half a response head."""
        self._writer.write(data)
        await self._writer.drain()

    async def forever(self) -> None:
        """Say nothing more until the client leaves (the server cancels this)."""
        await asyncio.Event().wait()

    def hang_up(self, *, reset: bool) -> None:
        """Close the connection under the client: FIN, or RST with whatever was not delivered thrown away."""
        if reset:
            linger_zero = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
            self._writer.transport.abort()
        else:
            self._writer.close()

    def _put(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        self._writer.write(self._http.send(event) or b"")

"""The vocabulary of a script: one class for each way in which a provider answers, well or badly.

`after_tokens` counts pieces of the answer, so 0 is after the head (status and opening chunk) and before any text.
A step with an `answer` says that; None is the echo.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass, field
from typing import Protocol

from tests.loopback.answer import Answer
from tests.loopback.exchange import Exchange


class Step(Protocol):
    """One way to answer one chat request."""

    async def play(self, exchange: Exchange) -> None: ...


@dataclass(frozen=True, slots=True)
class Say:
    """A sound answer."""

    answer: Answer | None = None

    async def play(self, exchange: Exchange) -> None:
        answer = exchange.answer(self.answer)
        if exchange.streaming:
            await _sound_stream(exchange, answer)
        else:
            exchange.request.produced_tokens += answer.output_tokens
            await exchange.respond_json(exchange.flavour.whole(exchange.request, answer))


async def _sound_stream(exchange: Exchange, answer: Answer) -> None:
    frames = exchange.frames(answer)
    await exchange.begin(frames.content_type)
    await exchange.send(frames.head)
    await exchange.send_pieces(frames.pieces)
    await exchange.send(frames.tail)
    await exchange.send(frames.end)
    await exchange.finish()


@dataclass(frozen=True, slots=True)
class Refuse:
    """A refusal in the provider's own shape. `message` None: its own words for that status."""

    status: int
    message: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def play(self, exchange: Exchange) -> None:
        refusal = exchange.flavour.refusal(self.status, self.message)
        headers = {"content-type": "application/json", **refusal.headers, **self.headers}
        await exchange.respond(refusal.status, json.dumps(refusal.body).encode(), headers)


def rate_limited(retry_after_s: int) -> Refuse:
    """429 with `retry-after`."""
    return Refuse(429, headers={"retry-after": str(retry_after_s)})


@dataclass(frozen=True, slots=True)
class Respond:
    """Any response at all: an HTML page, an empty body, a redirect."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/html"})

    async def play(self, exchange: Exchange) -> None:
        await exchange.respond(self.status, self.body, self.headers)


def redirect(to: str) -> Respond:
    """307: a client that follows it repeats the body, and the key, to `to`."""
    return Respond(307, headers={"location": to})


@dataclass(frozen=True, slots=True)
class Gzipped:
    """A compressed body that nobody asked for. `inflated_bytes` of zeros follow the answer (a bomb)."""

    inflated_bytes: int = 0

    async def play(self, exchange: Exchange) -> None:
        frames = exchange.frames(None)
        body = gzip.compress(b"".join(frames) + bytes(self.inflated_bytes), 1)
        await exchange.respond(200, body, {"content-type": frames.content_type, "content-encoding": "gzip"})


@dataclass(frozen=True, slots=True)
class Silence:
    """Accepts and says nothing, or only the first bytes of a response head (a slow loris), until the client leaves."""

    head_bytes: int = 0

    async def play(self, exchange: Exchange) -> None:
        await exchange.send_raw(b"HTTP/1.1 200 OK\r\nx-slow: "[: self.head_bytes])
        await exchange.forever()


@dataclass(frozen=True, slots=True)
class HangUp:
    """Closes the connection without a word."""

    reset: bool = False

    async def play(self, exchange: Exchange) -> None:
        exchange.hang_up(reset=self.reset)


@dataclass(frozen=True, slots=True)
class Stall:
    """Stops in the middle and keeps the connection open until the client leaves."""

    after_tokens: int
    answer: Answer | None = None

    async def play(self, exchange: Exchange) -> None:
        await _begin(exchange, self.answer, self.after_tokens)
        await exchange.forever()


@dataclass(frozen=True, slots=True)
class Cut:
    """Closes the connection in the middle: FIN, or RST."""

    after_tokens: int
    reset: bool = False
    answer: Answer | None = None

    async def play(self, exchange: Exchange) -> None:
        await _begin(exchange, self.answer, self.after_tokens)
        exchange.hang_up(reset=self.reset)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A response that is whole for HTTP, but ends early: `after_tokens` None leaves out the terminal event alone."""

    after_tokens: int | None = None
    answer: Answer | None = None

    async def play(self, exchange: Exchange) -> None:
        frames = await _begin(exchange, self.answer, self.after_tokens)
        if self.after_tokens is None:
            await exchange.send(frames)
        await exchange.finish()


@dataclass(frozen=True, slots=True)
class Insert:
    """A sound answer with foreign bytes in it after some tokens: malformed SSE, blank lines, anything."""

    data: bytes
    after_tokens: int = 0
    answer: Answer | None = None

    async def play(self, exchange: Exchange) -> None:
        frames = exchange.frames(self.answer)
        await exchange.begin(frames.content_type)
        await exchange.send(frames.head)
        await exchange.send_pieces(frames.pieces[: self.after_tokens])
        await exchange.send(self.data)
        await exchange.send_pieces(frames.pieces[self.after_tokens :])
        await exchange.send(frames.tail + frames.end)
        await exchange.finish()


@dataclass(frozen=True, slots=True)
class Fail:
    """An error event in the middle of a stream, in the provider's own shape, then the end of the body."""

    after_tokens: int = 0
    message: str = "The server had an error while processing your request. Sorry about that!"

    async def play(self, exchange: Exchange) -> None:
        await _begin(exchange, None, self.after_tokens)
        await exchange.send(exchange.flavour.error_event(self.message))
        await exchange.finish()


@dataclass(frozen=True, slots=True)
class KeepAlives:
    """Keep-alives while queued (comments in a stream, blank lines before a whole body), then a sound answer.

    `ticks` is acquired before each keep-alive; without it they are sent at once.
    """

    before_answer: int
    ticks: asyncio.Semaphore | None = None
    answer: Answer | None = None

    async def play(self, exchange: Exchange) -> None:
        frames = exchange.frames(self.answer)
        alive = exchange.flavour.keep_alive if exchange.streaming else b"\n"
        await exchange.begin(frames.content_type)
        for _ in range(self.before_answer):
            if self.ticks is not None:
                await self.ticks.acquire()
            await exchange.send(alive)
        await exchange.send(frames.head)
        await exchange.send_pieces(frames.pieces)
        await exchange.send(frames.tail + frames.end)
        await exchange.finish()


@dataclass(frozen=True, slots=True)
class Gated:
    """One token for each `ticks.release()`: the test sets the pace, not the clock. Head and tail are not gated."""

    ticks: asyncio.Semaphore
    answer: Answer | None = None

    async def play(self, exchange: Exchange) -> None:
        frames = exchange.frames(self.answer)
        await exchange.begin(frames.content_type)
        await exchange.send(frames.head)
        for piece in frames.pieces:
            await self.ticks.acquire()
            await exchange.send_pieces((piece,))
        await exchange.send(frames.tail + frames.end)
        await exchange.finish()


@dataclass(frozen=True, slots=True)
class Flood:
    """`total_bytes` of white space where an answer should be, or of one endless SSE line when streaming."""

    total_bytes: int

    async def play(self, exchange: Exchange) -> None:
        portion = (b"x" if exchange.streaming else b" ") * 65536
        await exchange.begin("text/event-stream" if exchange.streaming else "application/json")
        for _ in range(0, self.total_bytes, len(portion)):
            await exchange.send(portion)
        await exchange.finish()


async def _begin(exchange: Exchange, answer: Answer | None, tokens: int | None) -> bytes:
    """Send the head and the first tokens; returns the tail, still without the terminal event."""
    frames = exchange.frames(answer)
    await exchange.begin(frames.content_type)
    await exchange.send(frames.head)
    await exchange.send_pieces(frames.pieces[:tokens])
    return frames.tail

"""A provider over HTTP: any dialect over any transport, inside four deadlines.

Theory of operation. `chat` encodes, waits for a slot, posts, and is entered when the provider has accepted: a 2xx
head with the promised content type. What fails until then may be tried elsewhere. After that chunks are decoded as
bytes arrive, and every failure is an UpstreamError with `reached` true. Leaving the context closes the connection,
unless the body was read to its end. `answer` is the same for a whole answer, in one go and inside one deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson

from gateway.adapters.deadline import AttemptClock, DeadlineWatch
from gateway.adapters.transport import Response, Transport, Whole, accepted, read_refusal, read_whole
from gateway.core.chat import ChatRequest
from gateway.core.chunks import Chunk
from gateway.core.deadlines import Deadlines
from gateway.core.errors import (
    UnsupportedParameter,
    UpstreamError,
    UpstreamMalformed,
    UpstreamQueued,
    UpstreamTimeout,
)
from gateway.core.plan import Model
from gateway.dialects.dialect import Dialect, StreamDecoder, Target, WireRequest
from gateway.ports import Answered, Upstream

_REQUEST_ID_HEADERS = ("x-request-id", "request-id")


class HttpProvider:
    """`base_url` is what the vendor documents (https://api.openai.com/v1); the dialect adds the path.

    `absence` is why it can serve nothing at all. `concurrency` bounds requests in the air, for an upstream that queues
    silently (llama.cpp's total_slots); waiting for a slot counts against the first token. `embeddings_path` is None
    where the vendor has no embeddings.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: str | None,
        dialect: Dialect,
        transport: Transport,
        *,
        deadlines: Deadlines | None = None,
        absence: str | None = None,
        concurrency: int | None = None,
        embeddings_path: str | None = None,
    ) -> None:
        self.name = name
        self.absence = absence
        self.waiting_for: str | None = None
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._dialect = dialect
        self._transport = transport
        self._deadlines = deadlines or Deadlines()
        self._watch = DeadlineWatch()
        self._slots = asyncio.Semaphore(concurrency) if concurrency is not None else None
        self._embeddings_path = embeddings_path
        self._headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": "thriftgate",
            **dialect.credentials(api_key),
        }

    @asynccontextmanager
    async def chat(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> AsyncIterator[Upstream]:
        """See `ports.Provider.chat`."""
        wire = self._encoded(chat, model, max_output_tokens, strict)
        clock = self._clock(model, whole=False)
        async with AsyncExitStack() as stack:
            response = await self._post(stack, clock, wire.path, wire.headers, wire.body)
            _expect_events(response)
            portions = _Portions(self._dialect.decoder(), response, clock, self._mend)
            yield Upstream(portions, wire.dropped, _request_id(response.headers), wire.mend)

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> Answered:
        """See `ports.Provider.answer`."""
        wire = self._encoded(chat, model, max_output_tokens, strict)
        clock = self._clock(model, whole=True)
        if self._slots is None:
            response = await self._exchanged(wire, clock)
        else:
            await _a_slot(self._slots, clock)
            try:
                response = await self._exchanged(wire, clock)
            finally:
                self._slots.release()
        if not accepted(response.status):
            raise self._without_key(self._dialect.error(response.status, response.headers, response.body))
        try:
            completion = self._dialect.decode(response.body)
        except UpstreamError as error:
            self._mend(error)
            raise
        return Answered(completion, wire.dropped, _request_id(response.headers), wire.mend)

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        """See `ports.Provider.embed`."""
        if self._embeddings_path is None:
            raise UnsupportedParameter(f"The provider of {model.name} has no embeddings.", param="model")
        clock = self._clock(model, whole=True)
        request = orjson.dumps({**body, "model": model.upstream})
        async with AsyncExitStack() as stack:
            response = await self._post(stack, clock, self._embeddings_path, {}, request)
            return _embeddings(await clock.wait_for(read_whole(response)))

    def _encoded(self, chat: ChatRequest, model: Model, max_output_tokens: int | None, strict: bool) -> WireRequest:
        wire = self._dialect.encode(chat, Target(model.upstream, model.profile, max_output_tokens))
        if strict and wire.dropped:
            raise _strictly_refused(wire.dropped)
        return wire

    def _clock(self, model: Model, *, whole: bool) -> AttemptClock:
        return AttemptClock(self._watch, model.deadlines or self._deadlines, whole=whole)

    def _exchanged(self, wire: WireRequest, clock: AttemptClock) -> Awaitable[Whole]:
        headers = {**self._headers, **wire.headers}
        url = self._base_url + wire.path
        return clock.wait_for(self._transport.exchange(url, headers, wire.body, clock.connect_s))

    async def _post(
        self, stack: AsyncExitStack, clock: AttemptClock, path: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """The response, if it is a 2xx. Slot and connection are given back by `stack`."""
        if self._slots is not None:
            await _a_slot(self._slots, clock)
            stack.callback(self._slots.release)
        sent = self._transport.post(self._base_url + path, {**self._headers, **headers}, body, clock.connect_s)
        response = await clock.wait_for(stack.enter_async_context(sent))
        if not accepted(response.status):
            raise self._without_key(await self._refusal(response, clock))
        return response

    async def _refusal(self, response: Response, clock: AttemptClock) -> UpstreamError:
        """What the refusal means; its status still counts when its body is late."""
        try:
            body = await clock.wait_for(read_refusal(response))
        except UpstreamTimeout:
            body = b""
        return self._dialect.error(response.status, response.headers, body)

    def _mend(self, error: UpstreamError) -> None:
        """What fails after a 2xx was accepted, and may have been billed."""
        error.reached = True
        self._without_key(error)

    def _without_key(self, error: UpstreamError) -> UpstreamError:
        """The last line of defence: whatever a provider echoes, our key is not in it."""
        if self._api_key and self._api_key in error.message:
            error.message = error.message.replace(self._api_key, "[key]")
            error.args = (error.message,)
        return error


class _Portions:
    """Chunks as early as their bytes arrive: `Upstream.portions`. A wait that is cancelled can be taken up again if the
    transport's can. `mend` hears of every failure before it is raised."""

    __slots__ = ("_came", "_clock", "_decoder", "_ended", "_failure", "_mend", "_read")

    def __init__(
        self, decoder: StreamDecoder, response: Response, clock: AttemptClock, mend: Callable[[UpstreamError], None]
    ) -> None:
        self._decoder = decoder
        self._read = response.read
        self._clock = clock
        self._mend = mend
        self._failure: UpstreamError | None = None
        self._came = False
        self._ended = False

    def __aiter__(self) -> _Portions:
        return self

    async def __anext__(self) -> list[Chunk]:
        if self._came:
            self._clock.token()
        chunks: list[Chunk] = []
        while not chunks and not self._ended and self._failure is None:
            try:
                data = await self._clock.wait_for(self._read())
                self._ended = data is None
                if data is None:
                    self._decoder.close(chunks)
                else:
                    self._decoder.feed(data, chunks)
            except UpstreamError as error:
                self._mend(error)
                self._failure = error
        if chunks:
            self._came = True
            return chunks
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration


async def _a_slot(slots: asyncio.Semaphore, clock: AttemptClock) -> None:
    """Raises UpstreamQueued: whoever waits too long here has not been sent, and knows nothing of the provider."""
    try:
        await clock.wait_for(slots.acquire(), reached=False)
    except UpstreamTimeout as error:
        raise UpstreamQueued(f"No slot of the provider came free. {error.message}") from error


def _strictly_refused(dropped: tuple[str, ...]) -> UnsupportedParameter:
    named = ", ".join(f"`{name}`" for name in dropped)
    return UnsupportedParameter(f"This model cannot take {named}, and the request is strict.", param=dropped[0])


def _expect_events(response: Response) -> None:
    """Raises UpstreamMalformed for an HTML page or a JSON body where a stream was asked for."""
    kind = response.headers.get("content-type", "text/event-stream").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        raise UpstreamMalformed("The provider answered a streaming request with something else.", reached=True)


def _request_id(headers: Mapping[str, str]) -> str | None:
    for name in _REQUEST_ID_HEADERS:
        if name in headers:
            return headers[name]
    return None


def _embeddings(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except ValueError as error:
        raise UpstreamMalformed("The provider's embeddings are not JSON.", reached=True) from error
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise UpstreamMalformed("The provider's embeddings have no data.", reached=True)
    return answer

"""/v1/responses: OpenAI's newer API, stateless, from any backend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.chat import parse_chat
from gateway.core.chunks import Chunk, Completion, split
from gateway.core.errors import ThriftgateError
from gateway.dialects.served.rendering import Served, StreamRendering
from gateway.dialects.served.responses_answer import opened
from gateway.dialects.served.responses_request import to_chat
from gateway.dialects.served.responses_writer import ResponseWriter
from gateway.dialects.sse import encode_event


def read_responses(body: object, headers: Mapping[str, str], request_id: str) -> Served:
    """`rendering.Read` for responses."""
    chat, dropped = to_chat(body)
    assert isinstance(body, dict)  # or it would have been refused
    return Served(parse_chat(chat), ResponsesRendering(opened(body, request_id)), dropped)


class ResponsesRendering:
    """`opened` is the response before its answer; single use."""

    as_is = False

    def __init__(self, opened: dict[str, Any]) -> None:
        self._opened = opened

    def whole(self, completion: Completion) -> dict[str, Any]:
        writer = ResponseWriter(self._opened)
        for chunk in split(completion):
            writer.take(chunk)
        writer.finish()
        return writer.response

    def stream(self) -> StreamRendering:
        return ResponsesStream(ResponseWriter(self._opened))


class ResponsesStream:
    """`rendering.StreamRendering` for responses. It ends with its last event: there is no `[DONE]` in this API."""

    def __init__(self, writer: ResponseWriter) -> None:
        self._writer = writer

    def frame(self, chunk: Chunk) -> bytes:
        return _frames(self._writer.take(chunk))

    def end(self) -> bytes:
        return _frames(self._writer.finish())

    def failure(self, error: ThriftgateError) -> bytes:
        return _frames(self._writer.fail(error))


def _frames(events: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(encode_event(event["type"], event) for event in events)

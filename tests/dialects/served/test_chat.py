"""Chat completions are the gateway's own language: what is left is usage, and how a stream ends."""

from __future__ import annotations

import pytest
from hypothesis import given

from gateway.core.chunks import Chunk, Completion, assemble, split
from gateway.core.errors import UpstreamCut
from gateway.dialects.served.chat import ChatRendering, read_chat
from tests.dialects.served.answers import completion, events, parsed, streams


@given(streams())
def test_a_stream_assembles_to_the_whole_answer(pair: tuple[Completion, list[Chunk]]) -> None:
    whole, chunks = pair
    rendering = ChatRendering(include_usage=True)
    assert assemble(events(rendering.stream(), chunks)) == rendering.whole(whole)


@pytest.mark.parametrize("include_usage", [False, True])
def test_usage_is_shown_only_to_who_asked(include_usage: bool) -> None:
    told = events(ChatRendering(include_usage).stream(), split(completion({"content": "Hi"})))
    if include_usage:
        assert [chunk["usage"] is None for chunk in told] == [True] * (len(told) - 1) + [False]
        assert told[-1]["choices"] == []
    else:
        assert all("usage" not in chunk and chunk["choices"] for chunk in told)


def test_a_failure_is_an_error_event_and_nothing_after_it() -> None:
    stream = ChatRendering(include_usage=False).stream()
    written = stream.failure(UpstreamCut("Cut."))
    assert parsed(written)[0]["error"]["code"] == "upstream_cut"
    assert b"[DONE]" not in written


def test_the_wish_for_usage_is_the_clients() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    plain = read_chat(body, {}, "r").rendering.stream()
    asked = read_chat({**body, "stream_options": {"include_usage": True}}, {}, "r").rendering.stream()
    last = split(completion({"content": "Hi"}))[-1]
    assert plain.frame(dict(last)) == b""
    assert parsed(asked.frame(dict(last)))[0]["usage"]["total_tokens"] == 12

"""Every recorded stream, through every accident of the network: the laws that hold for all dialects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.chunks import Chunk, assemble, split
from gateway.core.errors import UpstreamCut, UpstreamError, UpstreamMalformed
from tests.dialects.cassette import DIALECTS, FOLDER, TERMINAL, dialect_of, fed, play, read, single_bytes, whole_streams

STREAMS = whole_streams()


def once(name: str) -> list[Chunk]:
    return play(dialect_of(name), [read(name)])


@pytest.mark.parametrize("name", STREAMS)
def test_one_byte_at_a_time_gives_the_same_chunks(name: str) -> None:
    assert play(dialect_of(name), single_bytes(read(name))) == once(name)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_other_line_ends_give_the_same_chunks(name: str, end: bytes) -> None:
    body = read(name).replace(b"\n", end)
    assert play(dialect_of(name), [body]) == once(name)
    assert play(dialect_of(name), single_bytes(body)) == once(name)


@pytest.mark.parametrize("name", STREAMS)
def test_keep_alives_between_events_give_the_same_chunks(name: str) -> None:
    body = read(name).replace(b"\n\n", b"\n\n: keep-alive\n\n\n\n")
    assert play(dialect_of(name), [body]) == once(name)


@given(st.sampled_from(STREAMS), st.data())
def test_any_cut_gives_the_same_chunks(name: str, data: st.DataObject) -> None:
    body = read(name)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=10)))
    portions = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert play(dialect_of(name), portions) == once(name)


@given(st.sampled_from(STREAMS), st.data())
def test_a_body_that_ends_before_its_terminal_event_is_cut(name: str, data: st.DataObject) -> None:
    body = read(name)
    end = data.draw(st.integers(0, body.index(TERMINAL[name.partition("/")[0]])))
    with pytest.raises(UpstreamCut) as caught:
        play(dialect_of(name), [body[:end]])
    assert caught.value.reached


@pytest.mark.parametrize("name", STREAMS)
def test_chunks_follow_the_internal_convention(name: str) -> None:
    chunks = once(name)
    body, last = chunks[:-1], chunks[-1]
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
    assert all(chunk["choices"] and "usage" not in chunk for chunk in body)
    assert {(chunk["id"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        (last["id"], last["model"], "chat.completion.chunk")
    }
    for index in {part["index"] for chunk in body for part in chunk["choices"]}:
        parts = [part for chunk in body for part in chunk["choices"] if part["index"] == index]
        assert parts[0]["delta"]["role"] == "assistant"
        assert sum(part["finish_reason"] is not None for part in parts) == 1
        assert parts[-1]["finish_reason"] is not None


@pytest.mark.parametrize(
    "name", [name for name in STREAMS if name.endswith(("/chat.sse", "/tools.sse", "/refusal.sse"))]
)
def test_a_stream_and_a_whole_answer_say_the_same(name: str) -> None:
    streamed = assemble(once(name))
    whole = dialect_of(name).decode(read(name.replace(".sse", ".json")))
    for answer in (streamed, whole):
        message = answer["choices"][0]["message"]
        for absent in ("refusal", "annotations", "reasoning_content"):
            if not message.get(absent):
                message.pop(absent, None)
        message["content"] = message["content"] or None
    assert streamed["choices"][0]["message"] == whole["choices"][0]["message"]
    assert streamed["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert streamed["usage"].keys() == whole["usage"].keys()
    assert streamed["model"] == whole["model"]


@pytest.mark.parametrize("name", STREAMS)
def test_chunks_come_as_soon_as_their_event_is_whole(name: str) -> None:
    decoder = dialect_of(name).decoder()
    for event in read(name).split(b"\n\n")[:-1]:
        assert fed(decoder, event) == []
        early = fed(decoder, b"\n\n")
        assert (b'"content":"' not in event and b'"text_delta"' not in event) or early


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "line", [b"data: {not json}\n\n", b"data: [1]\n\n", b'data: {"object":"x"}\n\n', b"data: \xff\n\n"]
)
def test_a_malformed_event_is_malformed_at_once(dialect: str, line: bytes) -> None:
    if dialect == "anthropic" and b"object" in line:
        return  # an event of unknown type, which its versioning rules ask us to pass over
    with pytest.raises(UpstreamMalformed):
        fed(DIALECTS[dialect].decoder(), line)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"\n\n\n", b": keep-alive\n\n", b'{"choices":[]}'])
def test_a_body_with_no_events_is_cut(dialect: str, body: bytes) -> None:
    with pytest.raises(UpstreamCut):
        play(DIALECTS[dialect], [body])


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 2.5, "", "x", [], [None], ["x"], [[]], {}, {"x": 1}, [{}]]
)


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """One value anywhere in one event of a stream, or in a whole answer, replaced by something else."""
    lines = read(name).split(b"\n") if name.endswith(".sse") else [b"data: " + read(name).strip()]
    at = draw(st.sampled_from([at for at, line in enumerate(lines) if line.startswith(b"data: {")]))
    holder = {"": orjson.loads(lines[at].removeprefix(b"data: "))}
    container, key = draw(st.sampled_from(list(places(holder))))
    container[key] = draw(JUNK)
    lines[at] = b"data: " + orjson.dumps(holder[""])
    return b"\n".join(lines) if name.endswith(".sse") else lines[at].removeprefix(b"data: ")


def places(container: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    for key in container if isinstance(container, dict) else range(len(container)):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from places(container[key])


ANSWERS = [name.replace(".sse", ".json") for name in STREAMS if name.endswith(("/chat.sse", "/tools.sse"))]
ANSWERS = [name for name in ANSWERS if (FOLDER / name).exists()]


@settings(max_examples=600)
@given(st.sampled_from(STREAMS).flatmap(lambda name: st.tuples(st.just(name), damaged(name))))
def test_a_damaged_stream_raises_nothing_but_upstream_errors(case: tuple[str, bytes]) -> None:
    name, body = case
    decoder, chunks = dialect_of(name).decoder(), list[Chunk]()
    try:
        decoder.feed(body, chunks)
        decoder.close(chunks)
    except UpstreamError as error:
        reached = error.reached
    else:
        reached = True
    assert reached
    assert assemble(chunks)["object"] == "chat.completion"


@settings(max_examples=300)
@given(st.sampled_from(ANSWERS).flatmap(lambda name: st.tuples(st.just(name), damaged(name))))
def test_a_damaged_answer_raises_nothing_but_upstream_errors(case: tuple[str, bytes]) -> None:
    name, body = case
    try:
        completion = dialect_of(name).decode(body)
    except UpstreamError:
        return
    assert completion["choices"][0]["message"]["role"] == "assistant"
    assert split(completion)

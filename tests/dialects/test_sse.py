"""Server-sent events, from the standard's own examples and from what providers do to them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import UpstreamMalformed
from gateway.dialects.sse import DONE, MAX_LINE_BYTES, Event, EventParser, encode


def events(*portions: bytes) -> list[Event]:
    parser = EventParser()
    return [event for portion in portions for event in parser.feed(portion)] + parser.close()


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_of_the_three_line_ends_ends_a_line(end: bytes) -> None:
    assert events(b"data: a" + end + end + b"data: b" + end + end) == [("", b"a"), ("", b"b")]


def test_a_line_end_cut_in_two_is_one_line_end() -> None:
    assert events(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [("", b"a\nb")]


def test_several_data_lines_are_one_event() -> None:
    assert events(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [("", b"YHOO\n+2\n10")]


def test_comments_and_blank_lines_are_passed_over() -> None:
    assert events(b": keep-alive\n\n\n\n:\n\ndata: a\n: in between\n\n") == [("", b"a")]


def test_an_event_has_the_name_given_to_it_and_the_next_one_has_none() -> None:
    assert events(b"event: ping\ndata: {}\n\ndata: x\n\n") == [("ping", b"{}"), ("", b"x")]


def test_a_name_without_data_is_no_event() -> None:
    assert events(b"event: ping\n\ndata: x\n\n") == [("", b"x")]


def test_only_one_space_after_the_colon_is_not_data() -> None:
    assert events(b"data:a\n\ndata:  b\n\ndata\n\n") == [("", b"a"), ("", b" b"), ("", b"")]


def test_a_byte_order_mark_in_front_is_not_part_of_the_first_field() -> None:
    assert events(b"\xef\xbb", b"\xbfdata: a\n\n") == [("", b"a")]


def test_the_last_event_is_told_though_its_blank_line_is_missing() -> None:
    assert events(b"data: a\n\ndata: [DONE]") == [("", b"a"), ("", b"[DONE]")]


def test_an_error_line_of_llama_cpp_is_an_event_of_that_name() -> None:
    assert events(b'error: {"code":500}\n\n') == [("error", b'{"code":500}')]


def test_fields_of_the_standard_that_nobody_needs_are_ignored() -> None:
    assert events(b"id: 7\nretry: 10\nnonsense\ndata: a\n\n") == [("", b"a")]


@pytest.mark.parametrize("portions", [1, 16])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(portions: int) -> None:
    endless = [b"x" * (MAX_LINE_BYTES // portions + 1)] * portions
    with pytest.raises(UpstreamMalformed):
        events(*endless)


def test_an_event_without_end_is_refused_too() -> None:
    with pytest.raises(UpstreamMalformed):
        events(*[b"data: " + b"x" * 65_536 + b"\n"] * 17)


LINE = st.sampled_from([b"data: a", b"data: \xf0\x9f\x98\x80", b"", b"", b": c", b"event: e", b"id: 1", b"data"])
BODY = st.lists(st.tuples(LINE, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=12).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(BODY, st.data())
def test_where_the_network_cuts_the_body_makes_no_difference(body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=8)))
    portions = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert events(*portions) == events(body)


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.none()))
def test_a_frame_of_ours_is_read_back_as_it_was(frame: dict[str, object]) -> None:
    (event, done) = events(encode(frame) + DONE)
    assert orjson.loads(event[1]) == frame
    assert done == ("", b"[DONE]")

from __future__ import annotations

import pytest

from gateway.core.trace_context import TraceParent, trace_parent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
def test_it_names_the_callers_span_and_whether_it_is_kept(flags: str, sampled: bool) -> None:
    assert trace_parent({"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}) == TraceParent(TRACE, SPAN, sampled)


def test_a_later_version_may_say_more() -> None:
    assert trace_parent({"traceparent": f"cc-{TRACE}-{SPAN}-01-what-will-be"}) == TraceParent(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 1_000}",
    ],
)
def test_one_that_is_none_is_passed_over(header: str) -> None:
    assert trace_parent({"traceparent": header}) is None
    assert trace_parent({}) is None

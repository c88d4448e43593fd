"""Requests of every kind, for tests of those who add them up."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from hypothesis import strategies as st

from gateway.core.events import CacheVerdict, HitChecked, Outcome, RequestFinished
from gateway.core.false_hits import Verdict
from gateway.core.savings import Cause, CauseSaved, Overhead, OverheadKind
from gateway.core.trace_context import TraceParent
from gateway.core.usage import Usage
from tests.adapters.happened import ANSWERED

NOON_S = 1_795_435_200.0
"""2026-11-23 12:00 UTC, a Monday."""
DAY_S = 86_400

nano_usd = st.integers(0, 10**12)
savings = st.lists(st.builds(CauseSaved, st.sampled_from(get_args(Cause)), nano_usd), max_size=2).map(tuple)
overheads = st.lists(st.builds(Overhead, st.sampled_from(get_args(OverheadKind)[:3]), nano_usd), max_size=2).map(tuple)


@st.composite
def requests(draw: st.DrawFn) -> RequestFinished:
    """Consistent ones: `baseline_nano_usd - cost_nano_usd` is what was saved less what was paid beside."""
    saved, beside, cost = draw(savings), draw(overheads), draw(nano_usd)
    net = sum(one.nano_usd for one in saved) - sum(one.nano_usd for one in beside)
    baseline = draw(st.sampled_from([None, "opus", "terra"])) if cost + net >= 0 else None
    return replace(
        ANSWERED,
        request_id=draw(st.uuids().map(str)),
        service=draw(st.sampled_from(["shop", "search"])),
        tier=draw(st.sampled_from([None, "light", "heavy"])),
        cache=draw(st.sampled_from(get_args(CacheVerdict))),
        outcome=draw(st.sampled_from(get_args(Outcome))),
        usage=draw(st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6))),
        cost_nano_usd=cost,
        saved_nano_usd=net if baseline else 0,
        saved_by=None,
        reasons=tuple(draw(st.lists(st.text(max_size=8), max_size=2))),
        baseline=baseline,
        baseline_nano_usd=cost + net if baseline else 0,
        savings=saved if baseline else (),
        overheads=beside,
        last_month=draw(st.sampled_from([None, "flash"])),
        last_month_nano_usd=draw(nano_usd),
        trace_parent=draw(st.none() | st.builds(TraceParent, st.text(), st.text(), st.booleans())),
    )


checks = st.builds(
    HitChecked,
    request_id=st.just("req_1"),
    service=st.sampled_from(["shop", "search"]),
    model=st.just("flash"),
    verdict=st.sampled_from(get_args(Verdict)),
    judged=st.booleans(),
    likeness=st.none() | st.floats(-1, 1),
    cost_nano_usd=nano_usd,
    false_hit_rate=st.floats(0, 1),
    low=st.floats(0, 1),
    high=st.floats(0, 1),
)
moments = st.integers(0, 40 * DAY_S).map(lambda before_s: NOON_S - before_s)
told = st.lists(st.tuples(requests() | checks, moments), max_size=12)

from __future__ import annotations

import pytest

from tests.deploy.promql import known_metrics, metrics_named


@pytest.mark.parametrize(
    ("promql", "named"),
    [
        ('sum by (le, model) (rate(a_bucket{model=~"x|y", b!=""}[$__rate_interval]))', {"a_bucket"}),
        ("a_total / on (window) group_left () job:b:rate5m > 0.05", {"a_total", "job:b:rate5m"}),
        ("1e6 * a offset 1h unless b or vector(0)", {"a", "b"}),
        ('label_replace(a + $__range_s, "step", "b c_total", "", "")', {"a"}),
        ("days_in_month() * 86400", set()),
    ],
)
def test_an_expressions_metrics_are_told_from_everything_else_in_it(promql: str, named: set[str]) -> None:
    assert metrics_named(promql) == named


def test_counters_gauges_histograms_and_recorded_series_are_known_by_the_names_that_queries_use() -> None:
    known = known_metrics()
    assert {"thriftgate_requests_total", "thriftgate_degraded", "thriftgate_request_duration_seconds_bucket"} <= known
    assert "thriftgate:month_left_seconds" in known
    assert not {"thriftgate_requests", "thriftgate_nonsense_total"} & known

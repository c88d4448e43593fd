"""Every query of every panel, asked of a real Prometheus that scraped a real gateway to which everything happened."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.grafana.build import DASHBOARDS
from deploy.grafana.panel import Dashboard, Panel, Query
from tests.deploy.conftest import Scraped
from tests.deploy.promql import rules

RANGE_S = 60
VARIABLES = {"$__rate_interval": "20s", "$__range_s": str(RANGE_S), "$__range": f"{RANGE_S}s", "$service": ".*"}
EMPTY_WHEN_ALL_IS_WELL = {
    "Degraded parts": "no part has broken",
    "Services without the semantic layer": "no service had too many wrong hits",
}
"""Panels that are rightly empty under this traffic, and why."""


def every_query() -> Iterator[Any]:
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            for number, query in enumerate(panel.queries):
                yield pytest.param(panel, query, id=f"{dashboard.uid}: {panel.title} {number}")


def panels(dashboard: Dashboard) -> Iterator[Panel]:
    for row in dashboard.rows:
        yield from row.panels


def as_grafana_sends_it(promql: str) -> str:
    for variable, value in VARIABLES.items():
        promql = promql.replace(variable, value)
    return promql


@pytest.mark.parametrize(("panel", "query"), [*every_query()])
async def test_it_has_data_and_each_series_the_labels_that_name_it(
    scraped: Scraped, panel: Panel, query: Query
) -> None:
    found = await scraped.prometheus.ask(as_grafana_sends_it(query.expr), scraped.at_s)
    if panel.kind != "stat" and panel.title in EMPTY_WHEN_ALL_IS_WELL:
        assert found == [], "not empty any more: take it off the list"
        return
    assert found, as_grafana_sends_it(query.expr)
    assert [sample for sample in found if not math.isfinite(float(sample["value"][1]))] == []
    labels = set(re.findall(r"{{(\w+)}}", query.legend))
    assert [sample["metric"] for sample in found if not labels <= sample["metric"].keys()] == []


@pytest.mark.parametrize("rule", [*rules()], ids=lambda rule: rule.get("record") or rule["alert"])
async def test_a_rule_can_be_evaluated(scraped: Scraped, rule: dict[str, Any]) -> None:
    await scraped.prometheus.ask(rule["expr"], scraped.at_s)


async def test_a_reload_is_marked_at_its_own_time(scraped: Scraped) -> None:
    mark = "1000 * (thriftgate_config_last_reload_success_timestamp_seconds > 0)"
    (found,) = await scraped.prometheus.ask(mark, scraped.at_s)
    assert abs(float(found["value"][1]) / 1000 - scraped.at_s) < RANGE_S

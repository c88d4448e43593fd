"""The dollars of *Cost and savings*, to the cent: what the queries make of counters that are known."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.cost import COST_AND_SAVINGS
from tests.deploy.promql import RULES
from tests.fixtures.prometheus import tool

STARTED = 'thriftgate_started_timestamp_seconds{instance="a"}'
COST = 'thriftgate_cost_usd_total{instance="a", service="shop", model="m"}'
Samples = Sequence[tuple[str, float]]


def expression(title: str, query: int = 0) -> str:
    """As Grafana sends it, an hour being shown."""
    (panel,) = (panel for row in COST_AND_SAVINGS.rows for panel in row.panels if panel.title == title)
    expr = panel.queries[query].expr
    for variable, value in {"$__range_s": "3600", "$__range": "1h", "$service": ".*"}.items():
        expr = expr.replace(variable, value)
    return expr


def holds(folder: Path, series: Mapping[str, str], promql: str, expected: Samples) -> None:
    """An hour and a half after the start, a sample each minute."""
    samples = [{"labels": labels, "value": value} for labels, value in expected]
    case: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": promql, "eval_time": "90m", "exp_samples": samples}],
    }
    file = folder / "sums.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(path) for path in RULES], "tests": [case]}))
    done = subprocess.run([tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_gateways_very_first_request_is_counted(tmp_path: Path) -> None:
    """It had been answered before the first scrape, and a counter that only stands still has no increase."""
    series = {STARTED: "_x60 3590x60", COST: "_x60 0.25x60"}
    holds(tmp_path, series, expression("This month"), [("{}", 0.25)])


def test_what_was_spent_before_prometheus_came_is_not_counted_as_of_now(tmp_path: Path) -> None:
    series = {STARTED: "_x60 0x60", COST: "_x60 500x60"}
    holds(tmp_path, series, expression("This month"), [("{}", 0.0)])


def test_a_gateway_that_was_there_before_is_counted_by_what_it_has_spent_since(tmp_path: Path) -> None:
    series = {STARTED: "0x120", COST: "500+0.5x120"}
    holds(tmp_path, series, expression("This month"), [("{}", 30.0)])


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    series = {STARTED: "0x60 3660x60", COST: "500x60 0x5 2x60"}
    holds(tmp_path, series, expression("This month"), [("{}", 2.0)])


MONEY = {
    STARTED: "_x60 3590x60",
    COST: "_x60 6x60",
    'thriftgate_baseline_usd_total{instance="a", service="shop"}': "_x60 10x60",
    'thriftgate_saved_usd_total{instance="a", service="shop", cause="tier"}': "_x60 3x60",
    'thriftgate_saved_usd_total{instance="a", service="shop", cause="exact_cache"}': "_x60 2x60",
    'thriftgate_overhead_usd_total{instance="a", service="shop", kind="failed_attempt"}': "_x60 1x60",
    'thriftgate_overhead_usd_total{instance="a", service="shop", kind="shadow"}': "_x60 0.5x60",
}
"""A baseline of 10, of which a smaller model saved 3 and the cache 2; a failed attempt cost 1, a check half."""
FLOORS_AND_HEIGHTS = {
    "00 the baseline": (0, 10),
    "01 saved: tier": (7, 3),
    "02 saved: exact_cache": (5, 2),
    "03 saved: semantic_cache": (5, 0),
    "04 saved: single_flight": (5, 0),
    "05 saved: prompt_cache": (5, 0),
    "06 saved: right_sizing": (5, 0),
    "07 saved: batch": (5, 0),
    "08 saved: local": (5, 0),
    "09 paid beside answers": (5, 1),
    "10 paid for checks": (6, 0.5),
    "11 paid": (0, 6.5),
}


@pytest.mark.parametrize("side", [0, 1], ids=["floors", "heights"])
def test_the_waterfall_goes_from_the_baseline_down_to_what_was_paid(tmp_path: Path, side: int) -> None:
    expected = [(f'{{step="{step}"}}', sides[side]) for step, sides in FLOORS_AND_HEIGHTS.items()]
    holds(tmp_path, MONEY, expression("From the baseline to what is paid", side), expected)


def test_what_was_saved_is_less_what_was_paid_for_it(tmp_path: Path) -> None:
    holds(tmp_path, MONEY, expression("Saved this month"), [("{}", 3.5)])
    holds(tmp_path, MONEY, expression("Saved, of the baseline"), [("{}", 0.35)])
    holds(tmp_path, MONEY, expression("Beside the answers"), [("{}", 1.5)])

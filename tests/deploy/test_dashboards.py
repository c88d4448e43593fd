"""The dashboards that are shipped: built from their source, about metrics that exist, for any Grafana."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml

from deploy.grafana.build import DASHBOARDS, FOLDER, file_of, text_of
from deploy.grafana.panel import GRID_COLUMNS, SCHEMA_VERSION, Dashboard, Row, stat, to_json
from tests.deploy.promql import DEPLOY, known_metrics, metrics_named

Json = dict[str, Any]
each = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


def shipped(dashboard: Dashboard) -> Json:
    read: Json = json.loads(file_of(dashboard).read_text())
    return read


def panels(dashboard: Dashboard) -> list[Json]:
    return [panel for panel in shipped(dashboard)["panels"] if panel["type"] != "row"]


def expressions(dashboard: Dashboard) -> Iterator[str]:
    yield from (target["expr"] for panel in panels(dashboard) for target in panel["targets"])
    yield from (annotation["expr"] for annotation in shipped(dashboard)["annotations"]["list"])


@each
def test_the_json_is_what_its_source_builds(dashboard: Dashboard) -> None:
    assert file_of(dashboard).read_text() == text_of(dashboard), "python -m deploy.grafana.build"


def test_nothing_else_is_provisioned() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(map(file_of, DASHBOARDS))


@each
def test_every_metric_that_is_named_exists(dashboard: Dashboard) -> None:
    named = {name for expr in expressions(dashboard) for name in metrics_named(expr)}
    assert named - known_metrics() == set()


@each
def test_no_panel_lies_on_another_or_over_the_edge(dashboard: Dashboard) -> None:
    places = [panel["gridPos"] for panel in shipped(dashboard)["panels"]]
    assert all(place["x"] + place["w"] <= GRID_COLUMNS for place in places)
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


@each
def test_every_panel_says_what_it_shows_and_every_series_has_a_name(dashboard: Dashboard) -> None:
    assert [panel["title"] for panel in panels(dashboard) if not panel["description"]] == []
    for panel in panels(dashboard):
        nameless = [target["expr"] for target in panel["targets"] if not target["legendFormat"]]
        assert nameless == [] or panel["type"] in ("stat", "table", "barchart"), panel["title"]


@each
def test_any_grafana_can_take_it(dashboard: Dashboard) -> None:
    """No id of an instance, no data source but the one that is chosen."""
    read = shipped(dashboard)
    assert "id" not in read
    assert read["schemaVersion"] == SCHEMA_VERSION
    sources = {json.dumps(found) for found in found_under(read, "datasource")}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    ids = [panel["id"] for panel in read["panels"]]
    assert len(ids) == len(set(ids))


def found_under(value: object, key: str) -> Iterator[object]:
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == key)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from found_under(inner, key)


def test_every_dashboard_marks_where_the_configuration_was_reloaded() -> None:
    for dashboard in DASHBOARDS:
        marks = {annotation["name"] for annotation in shipped(dashboard)["annotations"]["list"]}
        assert marks == {"Configuration reloaded", "Reload refused", "Alert"}


def test_grafana_is_told_where_the_dashboards_and_their_prometheus_are() -> None:
    (source,) = provisioning("datasources")["datasources"]
    (provider,) = provisioning("dashboards")["providers"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards")


def provisioning(kind: str) -> Json:
    (file,) = (DEPLOY / "grafana/provisioning" / kind).glob("*.yaml")
    read: Json = yaml.safe_load(file.read_text())
    return read


def test_panels_that_do_not_fit_beside_each_other_go_on_below() -> None:
    rows = tuple(Row(title, (stat("One number", "", "1", "none", width=4),) * 7) for title in ("one", "other"))
    laid = to_json(Dashboard("uid", "title", "what", "now-1h", rows))["panels"]
    assert [panel["gridPos"]["y"] for panel in laid] == [0, 1, 1, 1, 1, 1, 1, 5, 9, 10, 10, 10, 10, 10, 10, 14]

"""The part of Grafana's dashboard JSON that these dashboards use, as values; `to_json` lays them out.

Schema 42 is what Grafana 13.2 writes (grafana/skills, issue 98, 2026-09-20). Written here because the newest
grafana-foundation-sdk on PyPI (10.1.0, 2026-01) still makes schema 36, and four dashboards need six kinds of panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any, Literal

SCHEMA_VERSION = 42
GRID_COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]
Kind = Literal["stat", "timeseries", "table", "bargauge", "barchart"]
Unit = Literal["currencyUSD", "percentunit", "s", "reqps", "short", "none", "bytes", "tokens/s", "$/h"]
"""Grafana's own ids; what it does not know it writes behind the number."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression. `legend` names a series (`{{model}}`), in a table its column."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`why` is what its (i) says: what is counted, and what a number is compared with.

    `period` is Grafana's own relative time (`now/M`: this month so far) instead of the dashboard's.
    """

    kind: Kind
    title: str
    why: str
    queries: tuple[Query, ...]
    unit: Unit
    width: int = 8
    height: int = 8
    period: str | None = None
    defaults: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, from left to right and then down."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`span` is how far it looks back when opened (`now-6h`). `for_services`: whether `$service` chooses services."""

    uid: str
    title: str
    what: str
    span: str
    rows: tuple[Row, ...]
    for_services: bool = True


def stat(title: str, why: str, expr: str, unit: Unit, *, period: str | None = None, width: int = 4) -> Panel:
    """One number."""
    reduced = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    options = {**reduced, "colorMode": "none", "graphMode": "none", "textMode": "auto", "wideLayout": True}
    return Panel("stat", title, why, (Query(expr),), unit, width, 4, period, options=options)


def lines(
    title: str, why: str, unit: Unit, *queries: Query, width: int = 8, stacked: bool = False, top: float | None = None
) -> Panel:
    """Series over time; `stacked` ones add up."""
    stacking = {"mode": "normal" if stacked else "none", "group": "A"}
    custom = {"lineWidth": 1, "fillOpacity": 40 if stacked else 8, "showPoints": "auto", "stacking": stacking}
    defaults = {"min": 0, **({} if top is None else {"max": top}), "custom": custom}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return Panel("timeseries", title, why, queries, unit, width, defaults=defaults, options=options)


def table(
    title: str, why: str, unit: Unit, *columns: Query, width: int = 12, units: dict[str, Unit] | None = None
) -> Panel:
    """One row for each set of labels that the columns share; `units` of columns that are not in `unit`."""
    names = {f"Value #{ascii_uppercase[place]}": column.legend for place, column in enumerate(columns)}
    names |= {"Value": columns[0].legend}  # what Grafana calls the column of a lone query
    tidy = {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}}
    overrides = tuple(override(column, {"unit": of}) for column, of in (units or {}).items())
    return Panel(
        "table",
        title,
        why,
        columns,
        unit,
        width,
        overrides=overrides,
        transformations=({"id": "merge", "options": {}}, tidy),
    )


def bars(title: str, why: str, unit: Unit, query: Query, *, top: float, warn: float, width: int = 8) -> Panel:
    """A bar for each series, as far as it is now: yellow from `warn`, red from `top`."""
    steps = [{"color": "green", "value": None}, {"color": "yellow", "value": warn}, {"color": "red", "value": top}]
    defaults = {"min": 0, "max": top, "thresholds": {"mode": "absolute", "steps": steps}}
    reduced = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    options = {**reduced, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}
    return Panel("bargauge", title, why, (query,), unit, width, defaults=defaults, options=options)


def waterfall(title: str, why: str, unit: Unit, floor: str, height: str, label: str, width: int = 24) -> Panel:
    """Bars that hang: one for each value of `label`, `height` tall, from `floor` up. Grafana has no such panel, so an
    invisible bar stands below each."""
    sides = {"Value #A": "floor", "Value #B": "dollars"}
    joined: tuple[Json, ...] = (
        {"id": "joinByField", "options": {"byField": label, "mode": "outer"}},
        {
            "id": "organize",
            "options": {"excludeByName": {"Time": True, "Time 1": True, "Time 2": True}, "renameByName": sides},
        },
        {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": label}]}},
    )
    unseen = override("floor", {"color": {"mode": "fixed", "fixedColor": "transparent"}})
    hidden = {"hideFrom": {"viz": False, "legend": True, "tooltip": True}}
    unseen["properties"].append({"id": "custom.hideFrom", "value": hidden["hideFrom"]})
    options = {"xField": label, "stacking": "normal", "showValue": "never", "orientation": "auto", "barWidth": 0.8}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []}
    queries = (Query(floor, "floor"), Query(height, "dollars"))
    options |= {"legend": legend, "tooltip": {"mode": "single", "sort": "none"}}
    return Panel(
        "barchart", title, why, queries, unit, width, 9, options=options, overrides=(unseen,), transformations=joined
    )


def override(column: str, properties: Json) -> Json:
    listed = [{"id": name, "value": value} for name, value in properties.items()]
    return {"matcher": {"id": "byName", "options": column}, "properties": listed}


def to_json(dashboard: Dashboard) -> Json:
    """What Grafana's file provisioning reads: no ids of an instance in it, and the data source is a variable."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.what,
        "tags": ["thriftgate"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": dashboard.span, "to": "now"},
        "templating": {"list": _variables(dashboard.for_services)},
        "annotations": {"list": _annotations()},
        "links": [_to_the_others()],
        "panels": _laid_out(dashboard.rows),
    }


def _variables(for_services: bool) -> list[Json]:
    datasource: Json = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    names = "label_values(thriftgate_requests_total, service)"
    service: Json = {
        "name": "service",
        "label": "Service",
        "type": "query",
        "datasource": DATASOURCE,
        "definition": names,
        "query": {
            "query": names,
            "refId": "service",
            "qryType": 1,
            "label": "service",
            "metric": "thriftgate_requests_total",
        },
        "refresh": 2,  # each time the time range changes: services come and go
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }
    return [datasource, service] if for_services else [datasource]


def _annotations() -> list[Json]:
    """A line where a configuration was taken over (at its own time: the value is when), one where it was refused, and
    one where an alert began."""
    taken = "thriftgate_config_last_reload_success_timestamp_seconds > 0"
    return [
        _annotation("Configuration reloaded", "blue", f"1000 * ({taken})", at_its_value=True),
        _annotation(
            "Reload refused", "red", 'increase(thriftgate_config_reloads_total{result="refused"}[$__interval]) > 0'
        ),
        _annotation("Alert", "orange", 'ALERTS{alertstate="firing", alertname=~"Thriftgate.*"}', text="{{alertname}}"),
    ]


def _annotation(name: str, color: str, expr: str, *, text: str = "{{instance}}", at_its_value: bool = False) -> Json:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": color,
        "expr": expr,
        "titleFormat": name,
        "textFormat": text,
        "useValueForTime": at_its_value,
    }


def _to_the_others() -> Json:
    return {
        "title": "Thriftgate",
        "type": "dashboards",
        "tags": ["thriftgate"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    laid: list[Json] = []
    top = 0
    for row in rows:
        laid.append(
            {"type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": _at(0, top, 24, 1)}
        )
        left, top, tallest = 0, top + 1, 0
        for panel in row.panels:
            if left + panel.width > GRID_COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            laid.append(_panel_json(panel, _at(left, top, panel.width, panel.height)))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return [{"id": number, **panel} for number, panel in enumerate(laid, 1)]


def _at(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel_json(panel: Panel, place: dict[str, int]) -> Json:
    now_only = panel.kind in ("stat", "table", "bargauge", "barchart")
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.why,
        "gridPos": place,
        "datasource": DATASOURCE,
        "targets": [
            _target(ascii_uppercase[place], query, panel, now_only) for place, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": list(panel.overrides)},
        "options": panel.options,
        "transformations": list(panel.transformations),
        **({"timeFrom": panel.period} if panel.period else {}),
    }


def _target(ref: str, query: Query, panel: Panel, now_only: bool) -> Json:
    tabular = panel.kind in ("table", "barchart")
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": "" if tabular else query.legend,
        "format": "table" if tabular else "time_series",
        "instant": now_only,
        "range": not now_only,
    }

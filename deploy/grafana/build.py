"""Writes the dashboards that Grafana provisions: `python -m deploy.grafana.build`. A test compares what it writes."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana.budgets import BUDGETS
from deploy.grafana.caches import CACHES
from deploy.grafana.cost import COST_AND_SAVINGS
from deploy.grafana.panel import Dashboard, to_json
from deploy.grafana.traffic import TRAFFIC_AND_LATENCY

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (COST_AND_SAVINGS, TRAFFIC_AND_LATENCY, CACHES, BUDGETS)


def file_of(dashboard: Dashboard) -> Path:
    return FOLDER / f"{dashboard.uid.removeprefix('thriftgate-')}.json"


def text_of(dashboard: Dashboard) -> str:
    return json.dumps(to_json(dashboard), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for dashboard in DASHBOARDS:
        file_of(dashboard).write_text(text_of(dashboard))


if __name__ == "__main__":
    main()

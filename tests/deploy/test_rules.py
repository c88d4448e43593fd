"""The rules that are shipped: good for promtool, about metrics that exist, tested each, and explained each."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.promql import DEPLOY, RULES, known_metrics, metrics_named, rules
from tests.fixtures.prometheus import SHIPPED, tool

UNIT_TESTS = sorted((DEPLOY / "prometheus/tests").glob("*.yml"))
ALERTS = [rule for rule in rules() if "alert" in rule]
RUNBOOK = (DEPLOY / "README.md").read_text()
SEVERITIES = {"page", "ticket"}
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", SHIPPED), ("check", "rules", "--lint-fatal", *RULES), ("test", "rules", *UNIT_TESTS)],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_agrees(arguments: tuple[Any, ...]) -> None:
    done = subprocess.run([tool("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", [*rules()], ids=lambda rule: rule.get("record") or rule["alert"])
def test_every_metric_that_a_rule_names_exists(rule: dict[str, Any]) -> None:
    assert metrics_named(rule["expr"]) - known_metrics() == set()


def test_every_alert_is_seen_to_fire_and_to_be_silent_in_a_unit_test() -> None:
    cases = [case for file in UNIT_TESTS for case in yaml.safe_load(file.read_text())["tests"]]
    checks = [check for case in cases for check in case.get("alert_rule_test", ())]
    fired = {check["alertname"] for check in checks if check.get("exp_alerts")}
    silent = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    named = {alert["alert"] for alert in ALERTS}
    assert fired == silent == named


def test_the_runbook_has_an_entry_for_each_alert_and_for_nothing_else() -> None:
    assert re.findall(r"^### (Thriftgate\w+)$", RUNBOOK, re.MULTILINE) == [alert["alert"] for alert in ALERTS]


@each_alert
def test_an_alert_leads_to_what_it_means_where_to_look_and_what_mends_it(alert: dict[str, Any]) -> None:
    entry = RUNBOOK.split(f"### {alert['alert']}\n", 1)[1].split("\n#", 1)[0]
    assert re.findall(r"^\*\*(.+?)\*\*", entry, re.MULTILINE) == ["Means.", "Look first.", "Mend."]
    assert alert["annotations"]["runbook_url"] == f"deploy/README.md#{alert['alert'].lower()}"


@each_alert
def test_an_alert_says_what_is_the_matter_and_how_urgent_it_is(alert: dict[str, Any]) -> None:
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["labels"]["severity"] in SEVERITIES

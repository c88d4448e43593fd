"""Which metrics an expression names, and which there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gateway.adapters.prometheus import PrometheusMetrics

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
RULES = tuple(sorted((DEPLOY / "prometheus/rules").glob("*.yml")))
OF_PROMETHEUS = frozenset({"up", "ALERTS"})
"""What Prometheus itself makes of a target and a rule."""
_NOT_NAMES = re.compile(
    r'"(?:\\.|[^"\\])*"'  # a string, with any name in it
    r"|\{[^}]*\}|\[[^\]]*\]"  # matchers and ranges
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # labels
)
_NAME = re.compile(r"(?<![\w$.:])[a-zA-Z_:][\w:]*(?!\s*\()\b(?!\s*\()")
_WORDS = frozenset({"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring"})
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def metrics_named(promql: str) -> set[str]:
    """Every identifier that is neither a function, nor a label, nor a word of the language."""
    return set(_NAME.findall(_NOT_NAMES.sub(" ", promql))) - _WORDS


def rules() -> Iterator[dict[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def known_metrics() -> set[str]:
    """What a gateway exports, what the rules record, and what Prometheus makes."""
    exported = {
        metric.name + suffix
        for metric in PrometheusMetrics().registry.collect()
        for suffix in _SUFFIXES.get(metric.type, ())
    }
    return exported | {rule["record"] for rule in rules() if "record" in rule} | OF_PROMETHEUS

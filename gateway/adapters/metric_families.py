"""What a metric is, how those of several processes add up, and how they are written for Prometheus.

Theory of operation. Everything is counted in integers: money in nano-dollars, time in nanoseconds, and all sums of
them. A float of dollars would be off after some millions of additions; an integer never is. Only the exposition
divides, once, and its double is the nearest to the true sum: exact to the nano-dollar below $8,388,608 (2^23).

Counts of several processes are added. What is a state is not always a sum: `merge` says what it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import orjson
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.core.pricing import from_nano

Labels = tuple[str, ...]
Histogram = list[int]
"""How many were at most each of the bounds and above the one before, how many above all; last, the sum by BILLION."""
Value = int | float | Histogram
Series = dict[Labels, Value]
Store = dict[str, Series]
"""Series by the name of their family."""

BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Family:
    """`name` without Prometheus' `_total`. `nano`: kept as billionths. `merge` of a gauge: over processes."""

    name: str
    help: str
    labels: Labels = ()
    kind: Literal["counter", "gauge", "histogram"] = "counter"
    nano: bool = False
    merge: Literal["sum", "max", "min"] = "sum"
    bounds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        assert self.kind != "histogram" or all(low < high for low, high in pairwise(self.bounds)), self.name


def empty(bounds: tuple[float, ...]) -> Histogram:
    return [0] * (len(bounds) + 2)


def observe(histogram: Histogram, bounds: tuple[float, ...], value: float) -> None:
    """A bound is part of what is below it: `le`."""
    histogram[bisect_left(bounds, value)] += 1
    histogram[-1] += int(value * BILLION)


def add(series: Series, labels: Labels, value: Value) -> None:
    """Into a series that may be there already."""
    before = series.get(labels)
    series[labels] = value if before is None else _sum(before, value)


def encode(store: Mapping[str, Series]) -> bytes:
    """For another process."""
    return orjson.dumps({name: [(labels, value) for labels, value in series.items()] for name, series in store.items()})


def decode(snapshot: bytes) -> Store:
    """The inverse of `encode`."""
    read: dict[str, list[tuple[list[str], Value]]] = orjson.loads(snapshot)
    return {name: {tuple(labels): value for labels, value in series} for name, series in read.items()}


def merged(families: Iterable[Family], stores: Iterable[Mapping[str, Series]]) -> Store:
    """What all of them have, as one. What belongs to no family is left out."""
    rules = {family.name: family for family in families}
    total: Store = {name: {} for name in rules}
    for store in stores:
        for name in store.keys() & rules.keys():
            for labels, value in store[name].items():
                before = total[name].get(labels)
                total[name][labels] = value if before is None else _merge(rules[name], before, value)
    return total


def metric(family: Family, series: Mapping[Labels, Value]) -> Metric:
    """As prometheus_client writes it; without series, its name and its help."""
    if family.kind == "histogram":
        return _histogram(family, series)
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    told = kind(family.name, family.help, labels=family.labels)
    for labels, value in series.items():
        assert not isinstance(value, list), family.name
        told.add_metric(labels, float(from_nano(int(value))) if family.nano else value)
    return told


def _histogram(family: Family, series: Mapping[Labels, Value]) -> Metric:
    told = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    bounds = [*map(str, family.bounds), "+Inf"]
    for labels, value in series.items():
        assert isinstance(value, list), family.name
        told.add_metric(labels, list(zip(bounds, accumulate(value[:-1]), strict=True)), value[-1] / BILLION)
    return told


def _merge(family: Family, one: Value, other: Value) -> Value:
    if family.merge == "sum" or isinstance(one, list) or isinstance(other, list):
        return _sum(one, other)
    return max(one, other) if family.merge == "max" else min(one, other)


def _sum(one: Value, other: Value) -> Value:
    if isinstance(one, list):
        assert isinstance(other, list)
        return list(map(int.__add__, one, other))
    assert not isinstance(other, list)
    return one + other

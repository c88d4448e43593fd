from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.adapters.metric_families import Family, Series, Store, add, decode, empty, encode, merged, metric, observe
from gateway.core.pricing import NANO_PER_USD

COST = Family("cost_usd", "Money.", ("service",), nano=True)
OPEN = Family("open", "State.", ("service",), "gauge", merge="max")
GOOD = Family("good", "State.", (), "gauge", merge="min")
QUEUE = Family("queue", "Length.", (), "gauge")
BOUNDS = (1.0, 2.0)
TIME = Family("time_seconds", "Time.", ("service",), "histogram", bounds=BOUNDS)
FAMILIES = (COST, OPEN, GOOD, QUEUE, TIME)

names = st.text(min_size=1, max_size=3)
stores = st.fixed_dictionaries(
    {
        "cost_usd": st.dictionaries(st.tuples(names), st.integers(0, 2**53)),
        "open": st.dictionaries(st.tuples(names), st.integers(0, 9)),
        "good": st.dictionaries(st.just(()), st.integers(0, 1)),
        "time_seconds": st.dictionaries(st.tuples(names), st.lists(st.integers(0, 10**15), min_size=4, max_size=4)),
    }
)


class Fixed(Collector):
    def __init__(self, family: Family, series: Series) -> None:
        self._metric = metric(family, series)

    def collect(self) -> list[Metric]:
        return [self._metric]


def scraped(family: Family, series: Series) -> dict[tuple[str, str], float]:
    """What Prometheus reads, by sample and its bound, or else its service."""
    registry = CollectorRegistry()
    registry.register(Fixed(family, series))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, sample.labels.get("le", sample.labels["service"])): sample.value
        for one in families
        for sample in one.samples
    }


@given(st.integers(0, 2**23 * NANO_PER_USD))
def test_money_is_scraped_to_the_nano_dollar(nano_usd: int) -> None:
    read = scraped(COST, {("shop",): nano_usd})["cost_usd_total", "shop"]
    assert round(Decimal(read) * NANO_PER_USD) == nano_usd


def test_a_hundred_thousand_additions_lose_nothing() -> None:
    """As floats, 100,000 times $0.000000007 are $0.0006999999999969."""
    series: Series = {}
    for _ in range(100_000):
        add(series, ("shop",), 7)
    assert scraped(COST, series)["cost_usd_total", "shop"] == 0.0007


@given(stores)
def test_a_snapshot_is_read_as_it_was_written(store: Store) -> None:
    assert decode(encode(store)) == store


@given(stores, stores, stores)
def test_it_does_not_matter_in_which_order_processes_are_added_up(one: Store, two: Store, three: Store) -> None:
    together = merged(FAMILIES, [one, two, three])
    assert together == merged(FAMILIES, [merged(FAMILIES, [three, one]), two])
    assert sum_of(together, "cost_usd") == sum(sum_of(store, "cost_usd") for store in (one, two, three))


def sum_of(store: Store, name: str) -> int:
    return sum(value for value in store[name].values() if isinstance(value, int))


def test_states_of_several_processes_are_added_or_the_worst_of_them() -> None:
    one: Store = {"open": {("shop",): 1}, "good": {(): 1}, "queue": {(): 3}}
    two: Store = {"open": {("shop",): 2}, "good": {(): 0}, "queue": {(): 4}}
    together = merged(FAMILIES, [one, two])
    assert (together["open"], together["good"], together["queue"]) == ({("shop",): 2}, {(): 0}, {(): 7})


def test_what_belongs_to_no_family_is_left_out() -> None:
    assert "strange" not in merged(FAMILIES, [{"strange": {(): 1}}])


@pytest.mark.parametrize(("value", "at_most"), [(0.5, "1.0"), (1.0, "1.0"), (1.5, "2.0"), (3.0, "+Inf")])
def test_a_bound_is_part_of_what_is_below_it(value: float, at_most: str) -> None:
    histogram = empty(BOUNDS)
    observe(histogram, BOUNDS, value)
    read = scraped(TIME, {("shop",): histogram})
    assert next(bound for (name, bound), count in read.items() if name.endswith("_bucket") and count) == at_most
    assert read["time_seconds_sum", "shop"] == value
    assert read["time_seconds_count", "shop"] == 1

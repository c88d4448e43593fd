from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.adapters import metric_names as names
from gateway.adapters.prometheus import NONE, OTHER, PrometheusMetrics
from gateway.core.events import (
    AttemptFailed,
    BreakerClosed,
    BreakerOpened,
    CacheVerdict,
    Degraded,
    HitChecked,
    Overshoot,
    PutAside,
    Recovered,
    Reloaded,
    SemanticClosed,
    Stored,
    Unguarded,
)
from gateway.core.false_hits import Verdict, wilson
from gateway.core.savings import CauseSaved, Overhead
from gateway.core.usage import Usage
from tests.adapters.happened import ANSWERED

HIT = replace(
    ANSWERED,
    cache="hit",
    cost_nano_usd=0,
    saved_nano_usd=1_000_000_000,
    saved_by="exact_cache",
    savings=(CauseSaved("exact_cache", 1_000_000_000),),
)
ROUTE = {"service": "shop", "tier": "light", "provider": "deep", "model": "flash"}


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics(["shop"], ["deep"], ["flash"])


def value(metrics: PrometheusMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"thriftgate_{name}", labels)


def series(metrics: PrometheusMetrics) -> int:
    return sum(len(metric.samples) for metric in metrics.registry.collect())


def test_an_answer_is_counted_with_its_tokens_cost_and_time(metrics: PrometheusMetrics) -> None:
    metrics.tell(ANSWERED)
    metrics.tell(ANSWERED)
    assert value(metrics, "requests_total", **ROUTE, endpoint="chat", outcome="ok", cache="miss") == 2
    tokens = {
        kind: value(metrics, "tokens_total", **ROUTE, kind=kind)
        for kind in ("input", "output", "cache_read", "cache_write")
    }
    assert tokens == {"input": 120, "output": 40, "cache_read": 60, "cache_write": 20}
    assert value(metrics, "cost_usd_total", **ROUTE) == 0.5
    assert value(metrics, "saved_usd_total", service="shop", cause="tier") == 1.5
    assert value(metrics, "request_duration_seconds_sum", **ROUTE) == pytest.approx(0.4)
    assert value(metrics, "time_to_first_token_seconds_count", **ROUTE) == 2


@pytest.mark.parametrize(("cache", "layer"), [("hit", "exact"), ("semantic-hit", "semantic")])
def test_a_hit_charges_nothing_and_saves(metrics: PrometheusMetrics, cache: CacheVerdict, layer: str) -> None:
    metrics.tell(replace(HIT, cache=cache))
    assert value(metrics, "cache_hits_total", service="shop", layer=layer) == 1
    assert value(metrics, "saved_usd_total", service="shop", cause="exact_cache") == 1
    assert value(metrics, "cost_usd_total", **ROUTE) is None
    assert value(metrics, "tokens_total", **ROUTE, kind="input") is None
    assert value(metrics, "requests_total", **ROUTE, endpoint="chat", outcome="ok", cache=cache) == 1


def test_who_joined_anothers_flight_charges_nothing_saves_and_is_no_hit(metrics: PrometheusMetrics) -> None:
    metrics.tell(replace(HIT, cache="joined", savings=(CauseSaved("single_flight", 1_000_000_000),)))
    assert value(metrics, "saved_usd_total", service="shop", cause="single_flight") == 1
    assert value(metrics, "tokens_total", **ROUTE, kind="input") is None
    assert value(metrics, "cache_hits_total", service="shop", layer="exact") is None
    assert value(metrics, "requests_total", **ROUTE, endpoint="chat", outcome="ok", cache="joined") == 1


def test_nothing_saved_has_no_cause(metrics: PrometheusMetrics) -> None:
    metrics.tell(replace(ANSWERED, saved_nano_usd=0, saved_by=None, savings=()))
    assert value(metrics, "saved_usd_total", service="shop", cause="tier") is None


def test_a_request_that_reached_no_model_has_none(metrics: PrometheusMetrics) -> None:
    refused = replace(
        ANSWERED,
        outcome="refused",
        status=429,
        tier=None,
        model=None,
        provider=None,
        usage=Usage(),
        cost_nano_usd=0,
        saved_nano_usd=0,
        first_token_s=None,
    )
    metrics.tell(refused)
    route = {"service": "shop", "tier": NONE, "provider": NONE, "model": NONE}
    assert value(metrics, "requests_total", **route, endpoint="chat", outcome="refused", cache="miss") == 1
    assert value(metrics, "time_to_first_token_seconds_count", **route) is None


def test_a_refusal_is_counted_by_its_reason(metrics: PrometheusMetrics) -> None:
    metrics.tell(replace(ANSWERED, outcome="refused", status=429, error_code="rate_limit_exceeded"))
    metrics.tell(replace(ANSWERED, outcome="upstream_error", status=502, error_code="upstream_cut"))
    assert value(metrics, "refusals_total", service="shop", reason="rate_limit_exceeded") == 1
    assert value(metrics, "refusals_total", service="shop", reason="upstream_cut") is None


def test_stores_failures_and_overshoots_are_counted(metrics: PrometheusMetrics) -> None:
    metrics.tell(Stored("exact", "shop"))
    metrics.tell(AttemptFailed("req_1", "flash", "deep", "upstream_timeout"))
    metrics.tell(Overshoot("shop", 7, 1_500_000_000))
    assert value(metrics, "cache_stores_total", service="shop", layer="exact") == 1
    assert value(metrics, "attempt_failures_total", provider="deep", model="flash", code="upstream_timeout") == 1
    assert value(metrics, "budget_overshoot_tokens_total", service="shop") == 7
    assert value(metrics, "budget_overshoot_usd_total", service="shop") == 1.5


def test_a_models_open_breakers_are_counted_over_its_hosts(metrics: PrometheusMetrics) -> None:
    for host in ("one:443", "two:443"):
        metrics.tell(BreakerOpened("deep", "flash", host, "upstream_timeout", 10.0))
    metrics.tell(BreakerClosed("deep", "flash", "one:443"))
    metrics.tell(BreakerOpened("stranger", "stranger", "three:443", "upstream_timeout", 10.0))
    assert value(metrics, "breaker_open", provider="deep", model="flash") == 1
    assert value(metrics, "breaker_open", provider=OTHER, model=OTHER) == 1


def test_a_broken_part_shows_until_it_recovers(metrics: PrometheusMetrics) -> None:
    metrics.tell(Degraded("exact_cache", "connection refused"))
    assert value(metrics, "degraded", component="exact_cache") == 1
    metrics.tell(Recovered("exact_cache"))
    assert value(metrics, "degraded", component="exact_cache") == 0


def test_ten_thousand_invented_names_add_no_series(metrics: PrometheusMetrics) -> None:
    def junk(name: str) -> None:
        metrics.tell(replace(ANSWERED, service=name, model=name, provider=name, tier=name))
        metrics.tell(replace(HIT, service=name, model=name, provider=name, tier=name))
        metrics.tell(AttemptFailed("req_1", name, name, "upstream_cut"))
        metrics.tell(Stored("exact", name))
        metrics.tell(Overshoot(name, 1, 1))

    junk("first")
    before = series(metrics)
    for number in range(10_000):
        junk(f"junk-{number}")
    assert series(metrics) == before
    route = dict.fromkeys(ROUTE, OTHER)
    assert value(metrics, "requests_total", **route, endpoint="chat", outcome="ok", cache="miss") == 10_001


def test_label_values_are_escaped_in_the_exposition() -> None:
    metrics = PrometheusMetrics(['a"b\nc\\d'], [], [])
    metrics.tell(Stored("exact", 'a"b\nc\\d'))
    assert b'service="a\\"b\\nc\\\\d"' in metrics.render()


def test_two_gateways_in_one_process_count_apart(metrics: PrometheusMetrics) -> None:
    other = PrometheusMetrics(["shop"], ["deep"], ["flash"])
    metrics.tell(ANSWERED)
    assert value(other, "cost_usd_total", **ROUTE) is None
    assert b"thriftgate_cost_usd_total" in metrics.render()


def test_a_checked_hit_shows_the_services_rate_with_its_interval(metrics: PrometheusMetrics) -> None:
    metrics.tell(HitChecked("req_1", "shop", "flash", "different", False, 0.1, 250_000_000, 0.5, 0.2, 0.8))
    metrics.tell(HitChecked("req_2", "shop", "flash", "same", True, 0.9, 250_000_000, 0.25, 0.1, 0.6))
    assert value(metrics, "semantic_checked_total", service="shop", verdict="different") == 1
    assert value(metrics, "shadow_cost_usd_total", service="shop") == 0.5
    ends = ("semantic_false_hit_rate_low", "semantic_false_hit_rate", "semantic_false_hit_rate_high")
    low, high = wilson(1, 2)
    assert [value(metrics, name, service="shop") for name in ends] == [low, 0.5, high]


def test_a_closed_service_is_seen(metrics: PrometheusMetrics) -> None:
    metrics.tell(SemanticClosed("shop", 20, 0.5, 0.3, 0.1))
    metrics.tell(SemanticClosed("stranger", 20, 0.5, 0.3, 0.1))
    assert value(metrics, "semantic_closed", service="shop") == 1
    assert value(metrics, "semantic_closed", service=OTHER) == 1


def test_names_that_are_learned_count_under_themselves_and_nothing_is_forgotten(metrics: PrometheusMetrics) -> None:
    metrics.tell(ANSWERED)
    late = replace(ANSWERED, service="late", model="opus", provider="far")
    metrics.tell(late)
    metrics.learn(["late"], ["far"], ["opus"])
    metrics.tell(late)
    metrics.tell(ANSWERED)
    told = {"endpoint": "chat", "outcome": "ok", "cache": "miss"}
    assert value(metrics, "requests_total", **ROUTE, **told) == 2
    assert value(metrics, "requests_total", service="late", tier="light", provider="far", model="opus", **told) == 1
    unknown = {**dict.fromkeys(ROUTE, OTHER), "tier": "light"}
    assert value(metrics, "requests_total", **unknown, **told) == 1


def test_the_last_reload_shows_whether_it_was_good_and_when_one_last_was(metrics: PrometheusMetrics) -> None:
    assert value(metrics, "config_last_reload_success") == 1
    metrics.tell(Reloaded(True, "1 services", 1_800_000_000.0))
    metrics.tell(Reloaded(False, "`port` is wrong", 1_800_000_060.0))
    assert value(metrics, "config_last_reload_success") == 0
    assert value(metrics, "config_last_reload_success_timestamp_seconds") == 1_800_000_000.0
    assert value(metrics, "config_reloads_total", result="ok") == 1
    assert value(metrics, "config_reloads_total", result="refused") == 1


def test_the_start_is_told_so_that_a_counters_first_value_can_be_dated() -> None:
    metrics = PrometheusMetrics(started_unix_s=1_795_000_000.5)
    assert value(metrics, "started_timestamp_seconds") == 1_795_000_000.5


def test_what_went_unguarded_adds_up_and_what_is_put_aside_is_what_is_kept_now(metrics: PrometheusMetrics) -> None:
    metrics.tell(Unguarded("shop", 7, 1_500_000_000))
    metrics.tell(Unguarded("shop", 3, 0))
    assert value(metrics, "budget_unguarded_requests_total", service="shop") == 2
    assert value(metrics, "budget_unguarded_tokens_total", service="shop") == 10
    assert value(metrics, "budget_unguarded_usd_total", service="shop") == 1.5
    metrics.tell(PutAside("shop", 50, 2_000_000_000))
    metrics.tell(PutAside("shop", 40, 1_000_000_000))
    assert value(metrics, "budget_put_aside_tokens", service="shop") == 40
    assert value(metrics, "budget_put_aside_usd", service="shop") == 1


def test_processes_add_up_to_what_one_would_have(metrics: PrometheusMetrics) -> None:
    def told(*all_metrics: PrometheusMetrics) -> None:
        for number in range(10):
            teller = all_metrics[number % len(all_metrics)]
            teller.tell(replace(ANSWERED, cost_nano_usd=number))
            teller.tell(replace(HIT, duration_s=number / 10))
            verdict: Verdict = "same" if number % 3 else "different"
            teller.tell(HitChecked("r", "shop", "flash", verdict, False, 0.1, number, 0.0, 0.0, 0.0))

    alone = [PrometheusMetrics(["shop"], ["deep"], ["flash"]) for _ in range(3)]
    told(*alone)
    told(metrics)
    assert alone[0].render([one.snapshot() for one in alone[1:]]) == metrics.render()


def test_what_was_paid_beside_answers_is_counted_by_kind(metrics: PrometheusMetrics) -> None:
    metrics.tell(replace(ANSWERED, overheads=(Overhead("failed_attempt", 5), Overhead("escalation", 7))))
    metrics.tell(HitChecked("req_1", "shop", "flash", "same", True, 0.9, 9, 0.0, 0.0, 0.0, 2))
    kinds = ("failed_attempt", "escalation", "shadow", "judge")
    told = [value(metrics, "overhead_usd_total", service="shop", kind=kind) for kind in kinds]
    assert told == [5e-9, 7e-9, 7e-9, 2e-9]


def test_the_baseline_less_the_savings_and_with_the_overheads_is_the_cost(metrics: PrometheusMetrics) -> None:
    metrics.tell(ANSWERED)
    metrics.tell(HIT)
    metrics.tell(
        replace(
            ANSWERED,
            cost_nano_usd=500_000_000,
            baseline_nano_usd=250_000_000,
            savings=(),
            overheads=(Overhead("failed_attempt", 250_000_000),),
        )
    )
    assert value(metrics, "baseline_usd_total", service="shop") == 1 + 1 + 0.25


def test_what_costs_nothing_and_is_not_declared_free_is_unpriced(metrics: PrometheusMetrics) -> None:
    metrics.learn([], [], ["own"], free=["own"])
    for model in ("flash", "own"):
        metrics.tell(replace(ANSWERED, model=model, cost_nano_usd=0))
    metrics.tell(HIT)
    assert value(metrics, "unpriced_requests_total", provider="deep", model="flash") == 1
    assert value(metrics, "unpriced_requests_total", provider="deep", model="own") is None


def test_attempts_after_the_first_are_retries(metrics: PrometheusMetrics) -> None:
    metrics.tell(replace(ANSWERED, attempts=3))
    metrics.tell(replace(HIT, attempts=0))
    assert value(metrics, "retries_total", service="shop") == 2


def test_the_speed_of_an_answer_is_that_after_its_first_chunk(metrics: PrometheusMetrics) -> None:
    metrics.tell(replace(ANSWERED, usage=Usage(10, 100), duration_s=2.5, first_token_s=0.5))
    assert value(metrics, "output_tokens_per_second_sum", provider="deep", model="flash") == 50


def test_the_standards_names_count_what_reached_a_model(metrics: PrometheusMetrics) -> None:
    metrics.tell(ANSWERED)
    metrics.tell(HIT)
    asked = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "deep", "gen_ai_request_model": "flash"}

    def read(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"gen_ai_client_{name}", asked | labels)

    assert read("token_usage_sum", gen_ai_token_type="input") == 100
    assert read("token_usage_sum", gen_ai_token_type="output") == 20
    assert read("operation_duration_seconds_count", error_type="") == 1
    assert read("operation_time_to_first_chunk_seconds_count") == 1


def test_what_is_only_known_when_asked_is_asked_at_each_reading(metrics: PrometheusMetrics) -> None:
    lengths = iter((3, 5))
    metrics.ask(lambda: [(names.QUEUE, ("deep",), next(lengths))])
    assert value(metrics, "queue_depth", provider="deep") == 3
    assert b'thriftgate_queue_depth{provider="deep"} 5.0' in metrics.render()


def test_idle_hardware_is_hours_up_less_what_was_charged(metrics: PrometheusMetrics) -> None:
    metrics.tell(ANSWERED)
    metrics.ask(lambda: [(names.LOCAL_HOUR, ("deep",), 2.0), (names.LOCAL_UP, ("deep",), 1_800 * 10**9)])
    assert value(metrics, "local_idle_usd", provider="deep") == 0.75

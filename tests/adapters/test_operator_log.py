from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from gateway.adapters.operator_log import OperatorLog
from gateway.core.events import (
    AttemptFailed,
    BreakerClosed,
    BreakerOpened,
    Degraded,
    Event,
    Overshoot,
    Recovered,
    Reloaded,
    SemanticClosed,
    Stored,
)
from tests.adapters.happened import ANSWERED


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="thriftgate")
    return caplog


def logged(lines: pytest.LogCaptureFixture, event: Event) -> tuple[str, dict[str, Any]]:
    """The level and the one object that an event writes."""
    OperatorLog().tell(event)
    (record,) = lines.records
    assert "\n" not in record.getMessage()
    return record.levelname, json.loads(record.getMessage())


def test_a_degradation_is_a_warning_with_its_cause(lines: pytest.LogCaptureFixture) -> None:
    level, entry = logged(lines, Degraded("exact_cache", "line one\nline two"))
    assert level == "WARNING"
    assert entry == {"event": "degraded", "component": "exact_cache", "detail": "line one\nline two"}


def test_a_recovery_is_told(lines: pytest.LogCaptureFixture) -> None:
    assert logged(lines, Recovered("exact_cache")) == ("INFO", {"event": "recovered", "component": "exact_cache"})


def test_a_failed_attempt_names_the_request_and_the_model(lines: pytest.LogCaptureFixture) -> None:
    level, entry = logged(lines, AttemptFailed("req_1", "flash", "deep", "upstream_cut"))
    assert level == "WARNING"
    assert entry == {
        "event": "attempt failed",
        "request_id": "req_1",
        "provider": "deep",
        "model": "flash",
        "code": "upstream_cut",
    }


def test_an_opened_breaker_is_an_error_that_names_the_host_and_its_end_is_told(lines: pytest.LogCaptureFixture) -> None:
    level, entry = logged(lines, BreakerOpened("deep", "flash", "gpu:8080", "upstream_timeout", 10.0))
    where = {"provider": "deep", "model": "flash", "host": "gpu:8080"}
    assert level == "ERROR"
    assert entry == {"event": "breaker opened", **where, "error_code": "upstream_timeout", "open_s": 10.0}
    lines.clear()
    assert logged(lines, BreakerClosed("deep", "flash", "gpu:8080")) == ("INFO", {"event": "breaker closed", **where})


def test_an_overshoot_is_an_error_in_both_units(lines: pytest.LogCaptureFixture) -> None:
    level, entry = logged(lines, Overshoot("shop", 0, 5))
    assert level == "ERROR"
    assert entry == {"event": "budget overshoot", "service": "shop", "tokens": 0, "nano_usd": 5}


def test_a_closed_semantic_layer_is_an_error_with_what_closed_it(lines: pytest.LogCaptureFixture) -> None:
    level, entry = logged(lines, SemanticClosed("shop", 20, 0.5, 0.3, 0.1))
    assert level == "ERROR"
    figures = {"checks": 20, "false_hit_rate": 0.5, "low": 0.3, "limit": 0.1}
    assert entry == {"event": "semantic layer closed", "service": "shop", **figures}


def test_a_server_error_is_an_error_with_its_request(lines: pytest.LogCaptureFixture) -> None:
    failed = replace(ANSWERED, status=503, outcome="upstream_error", error_code="upstream_overloaded")
    level, entry = logged(lines, failed)
    assert level == "ERROR"
    assert entry == {
        "event": "request failed",
        "request_id": "req_1",
        "service": "shop",
        "status": 503,
        "code": "upstream_overloaded",
    }


@pytest.mark.parametrize("status", [200, 400, 429, 499])
def test_what_needs_no_operator_writes_nothing(lines: pytest.LogCaptureFixture, status: int) -> None:
    OperatorLog().tell(replace(ANSWERED, status=status))
    OperatorLog().tell(Stored("exact", "shop"))
    assert lines.records == []


def test_a_refused_reload_is_one_error_with_every_problem(lines: pytest.LogCaptureFixture) -> None:
    level, entry = logged(lines, Reloaded(False, "a.yaml:1: one\na.yaml:2: two", 0.0))
    assert level == "ERROR"
    assert entry == {"event": "reload refused", "detail": "a.yaml:1: one\na.yaml:2: two"}

"""The Lua in a real server against its twin, `core/meter.py`: any order of events, the same sums and answers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fixtures.ledger_machine import LedgerMachine

# Patient, because a loaded machine must not turn a proof into a time-out.
EVERY_CHANGE = pytest.param(100, marks=pytest.mark.timeout(900))
NIGHTLY = pytest.param(10_000, marks=[pytest.mark.nightly, pytest.mark.timeout(10_000)])


@pytest.mark.parametrize("histories", [EVERY_CHANGE, NIGHTLY])
def test_the_ledger_is_its_model_whatever_happens_in_whatever_order(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, histories: int
) -> None:
    monkeypatch.setattr(LedgerMachine, "url", redis_url, raising=False)
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

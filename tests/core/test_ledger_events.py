from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given

from gateway.core.events import HitChecked, RequestFinished
from gateway.core.ledger_events import checked_of, finished_of
from gateway.core.ledger_lines import told_record
from tests.adapters.happened import ANSWERED
from tests.core.told import checks, requests


def line(event: RequestFinished | HitChecked) -> dict[str, Any]:
    """As a reader of the ledger gets it."""
    read: dict[str, Any] = orjson.loads(orjson.dumps(told_record(event, 1.5)))
    return read


@given(event=requests())
def test_a_request_is_read_as_it_was_told(event: RequestFinished) -> None:
    assert finished_of(line(event)) == event


@given(event=checks)
def test_a_check_is_read_as_it_was_told(event: HitChecked) -> None:
    assert checked_of(line(event)) == event


def test_a_line_from_before_there_were_baselines_claims_nothing() -> None:
    new = ("baseline", "baseline_nano_usd", "savings", "overheads", "last_month", "last_month_nano_usd")
    old = {name: value for name, value in line(ANSWERED).items() if name not in new}
    read = finished_of(old)
    assert read.cost_nano_usd == ANSWERED.cost_nano_usd
    assert (read.baseline, read.savings, read.overheads) == (None, (), ())


@pytest.mark.parametrize("wrong", [{"cost_nano_usd": 0.5}, {"usage": {"tokens": 3}}, {"savings": [{"cause": "tier"}]}])
def test_a_line_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        finished_of({**line(ANSWERED), **wrong})


def test_a_line_without_its_cost_is_refused() -> None:
    whole = line(ANSWERED)
    del whole["cost_nano_usd"]
    with pytest.raises(TypeError, match="cost_nano_usd"):
        finished_of(whole)

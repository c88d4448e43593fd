from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.budget import Amount
from gateway.core.events import BudgetLevel, Degraded, HitChecked
from gateway.core.ledger_lines import Bill, Draw, Entry, bill_of, billed_by, check_kind, draw_of, entry_of, told_record
from tests.adapters.happened import ANSWERED

SETTLE = Entry("settle", 2.5, "req_1.1", "shop", "acme", ("shop/day:2026-11-23",), Amount(7, 900), True, 1.5)
CHECKED = HitChecked("req_1", "shop", "flash", "same", False, 0.9, 7, 0.0, 0.0, 0.1)

counts = st.integers(0, 2**53)
entries = st.builds(
    Entry,
    kind=st.sampled_from(["hold", "held", "void", "settle", "recovered", "batch"]),
    at_s=st.floats(0, 1e11),
    id=st.text(),
    service=st.text(),
    tag=st.text(),
    meters=st.lists(st.text()).map(tuple),
    amount=st.builds(Amount, counts, counts),
    reserved=st.booleans(),
    held_at_s=st.floats(0, 1e11),
)


def as_read(record: object) -> dict[str, Any]:
    """What a reader of the line gets."""
    read: dict[str, Any] = orjson.loads(orjson.dumps(record))
    return read


@given(draw=st.builds(Draw, st.text(), st.text(), st.text(), st.builds(Amount, counts, counts)))
def test_what_is_drawn_is_read_as_it_was_written(draw: Draw) -> None:
    assert draw_of(as_read(draw.record("drawn", 2.5))) == draw
    assert check_kind(draw.record("draw", 2.5)) == "draw"


@given(entry=entries)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert entry_of(as_read(entry.record())) == entry


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("tokens", -1, "`tokens` is not a whole number from 0 up"),
        ("nano_usd", 0.5, "`nano_usd` is not a whole number from 0 up"),
        ("tokens", True, "`tokens` is not a whole number from 0 up"),
        ("id", None, "`id` is not text"),
        ("meters", ["a", 1], "`meters` is not a list of texts"),
        ("at", "now", "`at` is not a number"),
    ],
)
def test_an_entry_that_says_nothing_is_refused_with_its_field(field: str, value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        entry_of({**as_read(SETTLE.record()), field: value})


def test_a_type_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="`type` is 'settled', which is no kind of line"):
        check_kind({"type": "settled"})


def test_a_request_has_a_line_with_all_that_was_told_and_money_in_whole_nano_dollars() -> None:
    line = as_read(told_record(ANSWERED, 5.0))
    told = {field.name for field in fields(ANSWERED)}
    assert line.keys() == {"type", "at"} | told
    assert (line["type"], line["at"], line["service"], line["stream"]) == ("request", 5.0, "shop", False)
    assert (line["cost_nano_usd"], line["saved_nano_usd"]) == (250_000_000, 750_000_000)
    assert line["usage"]["cache_read_tokens"] == 30


def test_the_check_of_a_hit_has_a_line() -> None:
    line = as_read(told_record(CHECKED, 5.0))
    assert (line["type"], line["request_id"], line["verdict"], line["cost_nano_usd"]) == ("check", "req_1", "same", 7)


def test_a_budget_that_reaches_a_rung_has_a_line() -> None:
    line = as_read(told_record(BudgetLevel("acme", "day", "warn", 0.81), 5.0))
    assert line == {
        "type": "level",
        "at": 5.0,
        "account": "acme",
        "window_kind": "day",
        "level": "warn",
        "used_share": 0.81,
    }


def test_what_costs_nothing_and_is_no_request_has_no_line() -> None:
    assert told_record(Degraded("ledger", "away"), 5.0) is None


def test_a_bill_is_read_from_the_line_of_a_request_or_a_check() -> None:
    assert bill_of(as_read(told_record(ANSWERED, 5.0))) == Bill("request", 5.0, 4.8, "req_1", "shop", 250_000_000)
    assert bill_of(as_read(told_record(CHECKED, 5.0))) == Bill("check", 5.0, 5.0, "req_1", "shop", 7)


def test_a_bill_without_its_cost_is_refused() -> None:
    line = as_read(told_record(replace(ANSWERED, cost_nano_usd=0), 5.0))
    del line["cost_nano_usd"]
    with pytest.raises(ValueError, match="`cost_nano_usd` is not"):
        bill_of(line)


@pytest.mark.parametrize(
    ("hold_id", "bill"),
    [
        ("req_1", ("request", "req_1")),  # embeddings make one attempt
        ("req_1.2", ("request", "req_1")),
        ("req_1.shadow.1", ("check", "req_1")),
        ("req_1.judge.3", ("check", "req_1")),
        ("req_1.light.1", ("check", "req_1")),
    ],
)
def test_an_attempt_is_billed_with_its_request_or_with_its_check(hold_id: str, bill: tuple[str, str]) -> None:
    assert billed_by(hold_id) == bill

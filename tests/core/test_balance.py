from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core.balance import Balance, Mismatch, ServiceDay
from gateway.core.budget import Amount
from gateway.core.events import HitChecked
from gateway.core.ledger_lines import Draw, Entry, EntryKind, told_record
from tests.adapters.happened import ANSWERED

NOON_S = 1_800_000_000.0
TODAY = ("shop", "2027-01-15")
CHECKED = HitChecked("req_1", "shop", "flash", "same", False, 0.9, 30, 0.0, 0.0, 0.1)


def entry(kind: EntryKind, id: str, nano_usd: int, at_s: float = NOON_S) -> dict[str, Any]:
    amount = Amount(1, nano_usd)
    return as_read(Entry(kind, at_s, id, "shop", "shop", ("shop/day:2027-01-15",), amount, True, at_s).record())


def bill(nano_usd: int, at_s: float = NOON_S, request_id: str = "req_1") -> dict[str, Any]:
    told = replace(ANSWERED, request_id=request_id, cost_nano_usd=nano_usd)
    return as_read(told_record(told, at_s))


def as_read(record: object) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(orjson.dumps(record))
    return read


def after(*records: dict[str, Any]) -> Balance:
    balance = Balance()
    for record in records:
        balance.add(record)
    return balance


def test_a_bill_is_the_sum_of_its_attempts() -> None:
    balance = after(entry("settle", "req_1.1", 10), entry("settle", "req_1.2", 20), bill(30))
    assert balance.days() == {TODAY: ServiceDay(billed_nano_usd=30, settled_nano_usd=30)}
    assert balance.mismatches == []


def test_a_bill_that_is_not_the_sum_is_named_with_both_figures() -> None:
    balance = after(entry("settle", "req_1.1", 10), bill(11))
    assert not balance.days()[TODAY].balances
    assert balance.mismatches == [Mismatch("request req_1", "shop", 11, 10)]


def test_two_bills_that_are_wrong_by_the_same_are_both_named_although_the_day_balances() -> None:
    first = (entry("settle", "req_1.1", 10), bill(11))
    balance = after(*first, entry("settle", "req_2.1", 10), bill(9, request_id="req_2"))
    assert balance.days()[TODAY].balances
    assert [mismatch.what for mismatch in balance.mismatches] == ["request req_1", "request req_2"]


def test_a_check_has_a_bill_of_its_own() -> None:
    check = as_read(told_record(CHECKED, NOON_S))
    balance = after(bill(0), entry("settle", "req_1.shadow.1", 10), entry("settle", "req_1.judge.1", 20), check)
    assert balance.days() == {TODAY: ServiceDay(billed_nano_usd=30, settled_nano_usd=30)}
    assert balance.mismatches == []


def test_what_was_settled_and_not_billed_yet_is_untold() -> None:
    balance = after(entry("settle", "req_1.1", 10))
    assert balance.days() == {TODAY: ServiceDay(untold_nano_usd=10)}
    balance.add(bill(10))
    assert balance.days() == {TODAY: ServiceDay(billed_nano_usd=10, settled_nano_usd=10)}


def test_what_was_recovered_needs_no_bill() -> None:
    assert after(entry("recovered", "req_1.1", 10)).days() == {TODAY: ServiceDay(recovered_nano_usd=10)}


def test_what_redis_forgot_in_the_air_is_covered_by_what_was_recovered_for_it() -> None:
    balance = after(entry("settle", "req_1.1", 10), entry("recovered", "req_1.2", 100), bill(30))
    day = ServiceDay(billed_nano_usd=30, settled_nano_usd=30, recovered_nano_usd=100)
    assert (balance.days(), balance.mismatches) == ({TODAY: day}, [])


def test_but_no_further() -> None:
    balance = after(entry("recovered", "req_1.1", 20), bill(30))
    assert balance.mismatches == [Mismatch("request req_1", "shop", 30, 20)]


def drawn(hold_id: str, nano_usd: int) -> dict[str, Any]:
    return as_read(Draw(hold_id, "aside_1", "shop", Amount(1, nano_usd)).record("drawn", NOON_S))


def test_what_was_drawn_is_billed_and_is_what_the_aside_is_settled_with() -> None:
    balance = after(drawn("req_1.1", 10), bill(10), drawn("req_2.1", 5), entry("settle", "aside_1", 15))
    assert balance.mismatches == []
    assert balance.days() == {TODAY: ServiceDay(billed_nano_usd=10, settled_nano_usd=10, untold_nano_usd=5)}


def test_in_the_air_are_attempts_and_not_what_is_put_aside_for_them() -> None:
    balance = after(
        entry("held", "aside_1", 50),
        entry("held", "req_1.1", 10),
        as_read(Draw("req_2.1", "aside_1", "shop", Amount(1, 10)).record("draw", NOON_S)),
    )
    assert balance.books.in_the_air == 2
    balance.add(drawn("req_2.1", 5))
    balance.add(entry("settle", "req_1.1", 10))
    assert balance.books.in_the_air == 0


def test_an_aside_that_was_not_settled_with_what_was_drawn_is_named() -> None:
    balance = after(drawn("req_1.1", 10), bill(10), entry("settle", "aside_1", 11))
    assert balance.mismatches == [Mismatch("aside_1", "shop", 10, 11)]


def test_of_an_aside_that_a_kill_has_ended_what_no_attempt_has_drawn_is_recovered() -> None:
    balance = after(drawn("req_1.1", 10), bill(10), entry("recovered", "aside_1", 50))
    assert (balance.mismatches, balance.days()[TODAY].recovered_nano_usd) == ([], 40)


def test_an_aside_that_was_recovered_with_less_than_was_drawn_is_named() -> None:
    balance = after(drawn("req_1.1", 10), bill(10), entry("recovered", "aside_1", 9))
    assert balance.mismatches == [Mismatch("aside_1", "shop", 10, 9)]


def test_a_request_over_midnight_counts_on_the_day_of_its_bill() -> None:
    balance = after(entry("settle", "req_1.1", 10, NOON_S), bill(10, NOON_S + 86_400))
    assert balance.days() == {("shop", "2027-01-16"): ServiceDay(billed_nano_usd=10, settled_nano_usd=10)}


def test_what_began_before_the_oldest_file_is_not_compared() -> None:
    balance = Balance()
    head = {"type": "head", "at": NOON_S, "behind_since": None, "open": [], "uncounted": []}
    balance.begin({**head, "sums": [["shop", "shop/day:2027-01-15", None, 1, 10, NOON_S]]})
    balance.add(bill(30, NOON_S + 0.1))
    assert balance.days() == {}
    balance.add(bill(30, NOON_S + 0.3))
    assert len(balance.mismatches) == 1


def test_lines_lost_in_gaps_are_counted() -> None:
    assert after({"type": "gap", "at": NOON_S, "lines": 3}, {"type": "gap", "at": NOON_S, "lines": 2}).lost_lines == 5


def test_a_line_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of line"):
        after({"type": "?"})

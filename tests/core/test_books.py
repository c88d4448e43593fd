from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.books import Books, Slot, budget_of
from gateway.core.budget import NOTHING, Amount, Budget
from gateway.core.ledger_lines import Draw, Entry, EntryKind
from gateway.core.window import WindowKind, WindowRule, WindowStyle

NOON_S = 1_800_000_000.0
DAY, MONTH, MINUTE = "shop/day:2027-01-15", "acme/month:2027-01", "shop/sliding-minute"
RESERVED = Entry("held", NOON_S, "a.1", "shop", "acme", (DAY, MONTH), Amount(10, 100), True, NOON_S)
COUNTED = Entry("held", NOON_S, "b.1", "free", "free", ("free/month:2027-01",), Amount(10, 100), False, NOON_S)
FREE = Slot("free", "free/month:2027-01", None)


def after(*entries: Entry) -> Books:
    books = Books()
    for entry in entries:
        books.add(entry)
    return books


def resumed_from(head: dict[str, Any]) -> Books:
    books = Books()
    books.carry(head)
    return books


def step(entry: Entry, kind: EntryKind, amount: Amount = NOTHING) -> Entry:
    return replace(entry, kind=kind, amount=amount)


def test_a_hold_is_open_until_something_ends_it() -> None:
    assert after(step(RESERVED, "hold"), RESERVED).open == {"a.1": RESERVED}
    for end in ("settle", "recovered", "void"):
        assert after(RESERVED, step(RESERVED, end)).open == {}


def test_what_is_held_or_void_is_not_spent() -> None:
    assert after(RESERVED).sums == after(RESERVED, step(RESERVED, "void")).sums == {}


def test_what_is_settled_or_recovered_counts_in_each_of_its_meters() -> None:
    again = replace(RESERVED, id="a.2")
    books = after(RESERVED, step(RESERVED, "settle", Amount(3, 30)), again, step(again, "recovered", Amount(10, 100)))
    assert books.sums == {Slot("acme", DAY, None): Amount(13, 130), Slot("acme", MONTH, None): Amount(13, 130)}


def test_a_sliding_window_counts_in_the_second_in_which_it_was_held() -> None:
    late = replace(RESERVED, kind="settle", meters=(MINUTE,), held_at_s=NOON_S + 7.9, at_s=NOON_S + 500)
    assert list(after(late).sums) == [Slot("acme", MINUTE, int(NOON_S) + 7)]


def test_spend_that_was_never_reserved_waits_for_its_batch() -> None:
    books = after(COUNTED, step(COUNTED, "settle", Amount(3, 30)))
    assert [entry.amount for entry in books.uncounted.values()] == [Amount(3, 30)]
    books.add(replace(COUNTED, kind="batch", id="batch", amount=Amount(3, 30)))
    assert books.uncounted == {}
    assert books.sums == {FREE: Amount(3, 30)}, "the batch is no spend of its own"


def test_a_batch_whose_spend_was_lost_in_a_gap_leaves_nothing() -> None:
    assert after(replace(COUNTED, kind="batch", amount=Amount(3, 30))).uncounted == {}


def test_what_no_meter_counts_waits_for_no_batch() -> None:
    assert after(replace(COUNTED, kind="settle", meters=())).uncounted == {}


amounts = st.builds(Amount, st.integers(0, 99), st.integers(0, 99))
kinds: list[EntryKind] = ["hold", "held", "void", "settle", "recovered", "batch"]
steps = st.builds(
    lambda kind, of, number, amount: replace(of, kind=kind, id=f"{of.id}{number}", amount=amount),
    st.sampled_from(kinds),
    st.sampled_from([RESERVED, COUNTED, replace(RESERVED, meters=(MINUTE,))]),
    st.integers(0, 3),
    amounts,
)


@given(entries=st.lists(steps), cut=st.integers(0, 20))
def test_reading_on_from_a_head_is_reading_from_the_beginning(entries: list[Entry], cut: int) -> None:
    head = orjson.loads(orjson.dumps(after(*entries[:cut]).head(NOON_S)))
    resumed, whole = resumed_from(head), after(*entries)
    for entry in entries[cut:]:
        resumed.add(entry)
    assert (resumed.open, resumed.sums, resumed.uncounted) == (whole.open, whole.sums, whole.uncounted)


ASIDE_HELD = replace(RESERVED, id="aside_1")
draws = st.builds(Draw, st.sampled_from(["a.1", "a.2", "a.3"]), st.just("aside_1"), st.just("shop"), amounts)


@given(lines=st.lists(st.tuples(st.booleans(), draws)), cut=st.integers(0, 20))
def test_reading_on_from_a_head_knows_what_was_drawn_before(lines: list[tuple[bool, Draw]], cut: int) -> None:
    def told(books: Books, lines: list[tuple[bool, Draw]]) -> Books:
        for is_over, draw in lines:
            (books.drawn if is_over else books.draw)(draw)
        return books

    before, whole = told(after(ASIDE_HELD), lines[:cut]), told(after(ASIDE_HELD), lines)
    resumed = told(resumed_from(orjson.loads(orjson.dumps(before.head(NOON_S)))), lines[cut:])
    assert (resumed.draws, resumed.taken("aside_1")) == (whole.draws, whole.taken("aside_1"))


def test_what_is_taken_of_an_aside_is_what_was_drawn_and_what_is_in_the_air() -> None:
    books = after(ASIDE_HELD)
    books.draw(Draw("a.1", "aside_1", "shop", Amount(9, 90)))
    books.draw(Draw("a.2", "aside_1", "shop", Amount(5, 50)))
    books.drawn(Draw("a.1", "aside_1", "shop", Amount(2, 20)))
    assert books.taken("aside_1") == Amount(7, 70)
    assert (books.taken("aside_2"), after(ASIDE_HELD).taken("aside_1")) == (NOTHING, NOTHING)


def test_of_an_aside_that_is_over_nothing_is_remembered() -> None:
    books = after(ASIDE_HELD)
    books.draw(Draw("a.1", "aside_1", "shop", Amount(9, 90)))
    books.add(step(ASIDE_HELD, "settle", Amount(9, 90)))
    books.drawn(Draw("a.1", "aside_1", "shop", Amount(9, 90)))
    assert (books.draws, books.taken("aside_1")) == ({}, NOTHING)


def test_a_head_leaves_out_windows_that_are_long_over() -> None:
    settled = replace(RESERVED, kind="settle")
    books = after(settled)
    books.head(NOON_S + 86_400)
    assert len(books.sums) == 2
    books.head(NOON_S + 4 * 86_400)
    assert list(books.sums) == [Slot("acme", MONTH, None)]


def test_a_head_keeps_since_when_redis_is_behind() -> None:
    books = Books()
    books.behind_since_s = NOON_S
    assert resumed_from(books.head(NOON_S + 1)).behind_since_s == NOON_S


@pytest.mark.parametrize("head", [{}, {"behind_since": None, "open": [], "sums": [[1]], "uncounted": []}])
def test_a_head_that_says_nothing_is_refused(head: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not the head of a file"):
        resumed_from(head)


@given(
    kind=st.sampled_from(["minute", "hour", "day", "week", "month"]),
    style=st.sampled_from(["calendar", "fixed", "sliding"]),
    account=st.sampled_from(["shop", "a/b", "x:y"]),
    unix_s=st.floats(0, 4e9),
)
def test_a_meter_tells_whose_it_is_and_how_its_windows_are_cut(
    kind: WindowKind, style: WindowStyle, account: str, unix_s: float
) -> None:
    rule = WindowRule(kind, style)
    budget = budget_of(Budget(account, rule).meter(unix_s))
    assert (budget.account, budget.rule) == (account, rule)


@pytest.mark.parametrize("meter", ["", "shop", "shop/", "shop/year:2027", "shop/loose-day", "/day:2027-01-01"])
def test_what_is_no_meter_is_refused(meter: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a meter"):
        budget_of(meter)

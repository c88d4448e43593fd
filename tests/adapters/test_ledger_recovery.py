from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.ledger_file import LedgerFile, ledger_files
from gateway.adapters.ledger_reader import Damage
from gateway.adapters.ledger_recovery import RECENT_S, Left, read_left
from gateway.core.books import Books
from gateway.core.budget import LATE_MS, Amount
from gateway.core.ledger_lines import Entry
from tests.fixtures.semantic import EventList, HandClock

HELD = Entry("held", 0.0, "", "shop", "shop", ("shop/month:2027-01",), Amount(10, 100), True, 0.0)


class Past:
    """What a gateway wrote before it was killed, a file for every few lines."""

    def __init__(self, folder: Path, clock: HandClock, told: EventList) -> None:
        self.folder = folder
        self.clock = clock
        self.books = Books()
        self.file = LedgerFile(folder, clock, told, max_file_bytes=1_500, keep_days=3)
        self.file.begin_with(lambda: self.books.head(clock.now_s))

    def write(self, kind: Any, id: str) -> None:
        entry = replace(HELD, kind=kind, id=id, at_s=self.clock.now_s)
        self.file.append(entry.record())
        self.file.flush()
        self.books.add(entry)

    def attempt(self, number: int) -> None:
        self.write("held", f"req_{number}")
        self.write("settle", f"req_{number}")

    def mark(self, kind: str) -> None:
        self.file.append({"type": kind, "at": self.clock.now_s})
        self.file.flush()
        self.books.behind_since_s = self.clock.now_s if kind == "behind" else None


@pytest.fixture
def past(tmp_path: Path, hand_clock: HandClock, told: EventList) -> Past:
    return Past(tmp_path, hand_clock, told)


@pytest.fixture
def damages() -> Iterator[list[Damage]]:
    heard: list[Damage] = []
    yield heard
    assert heard == []


def left_in(past: Past, damages: list[Damage]) -> Left:
    return read_left(past.folder, damages.append)


def test_an_empty_folder_leaves_nothing(past: Past, damages: list[Damage]) -> None:
    left = left_in(past, damages)
    assert (left.books.open, left.books.sums, list(left.recent)) == ({}, {}, [])


def test_of_long_ago_the_sums_and_the_open_holds_are_left_and_not_the_files(past: Past, damages: list[Damage]) -> None:
    past.write("held", "long")
    for number in range(20):
        past.attempt(number)
        past.clock.now_s += RECENT_S + 1
    for old in ledger_files(past.folder)[:-3]:
        old.unlink()  # nobody may read them
    left = left_in(past, damages)
    assert list(left.books.open) == ["long"]
    assert left.books.sums == past.books.sums
    assert [entry.id for entry in left.recent] == ["req_19"]


def test_what_ended_in_the_last_minute_may_not_have_been_confirmed(past: Past, damages: list[Damage]) -> None:
    for number in range(20):
        past.attempt(number)
        past.clock.now_s += 10
    assert [entry.id for entry in left_in(past, damages).recent] == [f"req_{number}" for number in range(13, 20)]


def test_all_that_ended_since_redis_was_behind_may_not_have_been_confirmed(past: Past, damages: list[Damage]) -> None:
    for number in range(20):
        past.attempt(number)
        past.clock.now_s += RECENT_S + 1
        if number == 5:
            past.mark("behind")
    assert [entry.id for entry in left_in(past, damages).recent] == [f"req_{number}" for number in range(6, 20)]


def test_what_ended_before_redis_had_caught_up_is_confirmed(past: Past, damages: list[Damage]) -> None:
    past.mark("behind")
    for number in range(20):
        past.attempt(number)
        past.clock.now_s += RECENT_S + 1
    past.mark("even")
    past.attempt(20)
    assert [entry.id for entry in left_in(past, damages).recent] == ["req_20"]


def test_what_is_older_than_any_late_settlement_is_not_read_again(past: Past, damages: list[Damage]) -> None:
    past.mark("behind")
    for number in range(20):
        past.attempt(number)
        past.clock.now_s += LATE_MS / 1000 / 4
    for old in ledger_files(past.folder)[:-4]:
        old.unlink()
    assert len(left_in(past, damages).recent) < 10


def test_a_torn_last_line_is_a_line_not_written(past: Past, damages: list[Damage]) -> None:
    past.write("held", "a")
    whole = ledger_files(past.folder)[-1].read_bytes()
    past.write("settle", "a")
    file = ledger_files(past.folder)[-1]
    file.write_bytes(file.read_bytes()[:-1][: len(whole) + 30])
    assert list(left_in(past, damages).books.open) == ["a"]

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.adapters.ledger_file import MAX_WAITING_BYTES, LedgerFile, ledger_files
from gateway.adapters.ledger_tail import TAIL_BYTES, lines_of, restore
from gateway.core.events import Degraded, Recovered
from tests.fixtures.semantic import EventList, HandClock

DAY_S = 86_400
NOON_S = 1_800_000_000.0 - 1_800_000_000.0 % DAY_S + DAY_S / 2  # 2027-01-15
DAY = "2027-01-15"


class Writer:
    """A ledger file, and what the folder says."""

    def __init__(self, folder: Path, clock: HandClock, told: EventList, **options: int) -> None:
        self.folder = folder
        self.clock = clock
        self.file = LedgerFile(folder, clock, told, **{"max_file_bytes": 1_000_000, "keep_days": 3, **options})

    def write(self, *numbers: int, **fields: Any) -> None:
        for number in numbers:
            self.file.append({"type": "test", "at": self.clock.unix_s(), "n": number, **fields})
            self.file.flush()

    def names(self) -> list[str]:
        return [path.name for path in ledger_files(self.folder)]

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for path in ledger_files(self.folder) for line in path.read_bytes().splitlines()]

    def numbers(self) -> list[int]:
        return [line["n"] for line in self.lines() if line["type"] == "test"]


@pytest.fixture
def clock(hand_clock: HandClock) -> HandClock:
    hand_clock.now_s = NOON_S
    return hand_clock


@pytest.fixture
def writer(tmp_path: Path, clock: HandClock, told: EventList) -> Writer:
    return Writer(tmp_path / "ledger", clock, told)


@pytest.fixture
def full_disk() -> Iterator[FullDisk]:
    disk = FullDisk()
    yield disk
    disk.empty()


class FullDisk:
    """Files of this process may not grow beyond a limit: the kernel then writes a part, or refuses with EFBIG."""

    def __init__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, limit_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, self._before[1]))

    def empty(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


def test_lines_are_in_the_file_in_order(writer: Writer) -> None:
    writer.write(1, 2, 3)
    assert writer.lines() == [{"type": "test", "at": NOON_S, "n": n} for n in (1, 2, 3)]
    assert writer.names() == [f"{DAY}.000001.ndjson"]


def test_only_the_owner_may_read_it(writer: Writer) -> None:
    writer.write(1)
    assert writer.folder.stat().st_mode & 0o777 == 0o700
    assert ledger_files(writer.folder)[0].stat().st_mode & 0o777 == 0o600


def test_a_file_ends_with_its_day(writer: Writer, clock: HandClock) -> None:
    writer.write(1)
    clock.now_s += DAY_S / 2
    writer.write(2)
    assert writer.names() == [f"{DAY}.000001.ndjson", "2027-01-16.000001.ndjson"]
    assert writer.numbers() == [1, 2]


def test_a_file_ends_when_it_is_large(tmp_path: Path, clock: HandClock, told: EventList) -> None:
    writer = Writer(tmp_path, clock, told, max_file_bytes=100)
    writer.write(*range(9))
    assert len(writer.names()) == 3
    assert all(path.stat().st_size < 200 for path in ledger_files(tmp_path))
    assert writer.numbers() == list(range(9))


def test_a_process_begins_a_file_of_its_own(writer: Writer, clock: HandClock, told: EventList) -> None:
    writer.write(1)
    second = Writer(writer.folder, clock, told)
    second.write(2)
    writer.write(3)
    assert [path.read_bytes().count(b"\n") for path in ledger_files(writer.folder)] == [2, 1]


def test_each_file_begins_with_what_the_head_says(tmp_path: Path, clock: HandClock, told: EventList) -> None:
    writer = Writer(tmp_path, clock, told, max_file_bytes=60)
    written: list[int] = []
    writer.file.begin_with(lambda: {"type": "head", "at": clock.unix_s(), "after": list(written)})
    for number in range(3):
        writer.write(number)
        written.append(number)
    assert [line.get("after", line.get("n")) for line in writer.lines()] == [[], 0, [0], 1, [0, 1], 2]


def test_what_a_full_disk_refuses_waits_and_is_written_in_order_once_there_is_room(
    writer: Writer, clock: HandClock, told: EventList, full_disk: FullDisk
) -> None:
    writer.write(1)
    size_bytes = ledger_files(writer.folder)[0].stat().st_size
    full_disk.fill(size_bytes + 10)  # so the kernel takes ten bytes of the next line
    writer.write(2, 3)
    assert ledger_files(writer.folder)[0].stat().st_size == size_bytes, "half a line was left"
    full_disk.empty()
    writer.write(4)
    assert writer.numbers() == [1], "a disk that has just refused is not asked at each line"
    clock.now_s += 1
    writer.write(5)
    assert writer.numbers() == [1, 2, 3, 4, 5]


def test_a_full_disk_is_told_once_and_its_end_once(
    writer: Writer, clock: HandClock, told: EventList, full_disk: FullDisk
) -> None:
    full_disk.fill(0)
    for _ in range(3):
        writer.write(1)
        clock.now_s += 1
    full_disk.empty()
    writer.write(2, 3)
    assert told.events == [Degraded("ledger_file", "not written: File too large"), Recovered("ledger_file")]


async def test_what_waits_is_written_at_the_stop(writer: Writer, full_disk: FullDisk) -> None:
    full_disk.fill(0)
    writer.write(1, 2)
    full_disk.empty()
    await writer.file.stop()
    assert writer.numbers() == [1, 2]


def test_what_does_not_fit_while_waiting_is_counted_in_a_gap(
    writer: Writer, clock: HandClock, full_disk: FullDisk
) -> None:
    full_disk.fill(0)
    padding = "x" * (MAX_WAITING_BYTES // 4)
    writer.write(*range(6), padding=padding)
    full_disk.empty()
    clock.now_s += 1
    writer.write(6)
    assert writer.numbers() == [0, 1, 2, 6]
    assert writer.lines()[-2] == {"type": "gap", "at": NOON_S + 1, "lines": 3}


def test_a_folder_that_cannot_be_made_is_told_and_harms_nobody(
    tmp_path: Path, clock: HandClock, told: EventList
) -> None:
    (tmp_path / "taken").write_text("a file")
    Writer(tmp_path / "taken", clock, told).write(1)
    assert told.events == [Degraded("ledger_file", "not written: File exists")]


async def test_files_older_than_the_days_to_keep_are_deleted_and_nothing_else(writer: Writer, clock: HandClock) -> None:
    for _ in range(6):
        writer.write(1)
        clock.now_s += DAY_S
    other = writer.folder / "2026-01-01.notes.txt"
    other.touch()
    await writer.file.stop()
    assert len(writer.names()) == 5, "one at a time"
    for _ in range(3):
        await writer.file.stop()
    assert [name.split(".")[0] for name in writer.names()] == ["2027-01-18", "2027-01-19", "2027-01-20"]
    assert other.exists()


def test_a_line_is_there_at_once_and_written_with_others(writer: Writer) -> None:
    writer.write(1)
    size_bytes = ledger_files(writer.folder)[0].stat().st_size
    for number in (2, 3):
        writer.file.append({"type": "test", "at": NOON_S, "n": number})
    assert ledger_files(writer.folder)[0].stat().st_size == size_bytes
    assert [orjson.loads(line)["n"] for line in lines_of(ledger_files(writer.folder)[0])] == [1, 2, 3]
    writer.file.flush()
    assert writer.numbers() == [1, 2, 3]


def test_more_lines_than_a_tail_holds_are_written_meanwhile(writer: Writer) -> None:
    for number in range(9):
        writer.file.append({"type": "test", "at": NOON_S, "n": number, "padding": "x" * (TAIL_BYTES // 4)})
    (path,) = ledger_files(writer.folder)
    assert path.stat().st_size > TAIL_BYTES
    assert [orjson.loads(line)["n"] for line in lines_of(path)] == list(range(9))


async def test_lines_that_linger_are_written_without_another_one(writer: Writer) -> None:
    writer.file.start()
    writer.write(1)
    writer.file.append({"type": "test", "at": NOON_S, "n": 2})
    for _ in range(6_000):
        if writer.numbers() == [1, 2]:
            break
        await asyncio.sleep(0.01)
    assert writer.numbers() == [1, 2]
    await writer.file.stop()
    assert [path.suffix for path in writer.folder.iterdir()] == [".ndjson"]


async def test_what_a_full_disk_refuses_until_the_end_is_there_for_the_next_start(
    writer: Writer, full_disk: FullDisk
) -> None:
    writer.write(1)
    (path,) = ledger_files(writer.folder)
    full_disk.fill(path.stat().st_size)
    writer.write(2)
    await writer.file.stop()
    full_disk.empty()
    assert writer.numbers() == [1]
    restore(writer.folder)
    assert writer.numbers() == [1, 2]

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.tallying import Tallying
from gateway.core.events import HitChecked, RequestFinished
from gateway.core.ledger_lines import told_record
from gateway.core.totals import NOTHING, PartKey, decode
from tests.adapters.happened import ANSWERED

CHECKED = HitChecked("req_1", "shop", "flash", "same", False, 0.9, 7, 0.0, 0.0, 0.1)
DAY_S = 86_400


class Now(SystemClock):
    """A clock that stands still, by Unix time."""

    def __init__(self, unix_s: float) -> None:
        self._unix_s = unix_s

    def unix_s(self) -> float:
        return self._unix_s


NOON_S = 1_795_435_200.0
NOON = Now(NOON_S)


def write(path: Path, events: Iterable[RequestFinished | HitChecked], at_s: float = NOON_S, tail: bytes = b"") -> Path:
    lines = [orjson.dumps(told_record(event, at_s)) + b"\n" for event in events]
    path.write_bytes(b'{"type":"head","at":1}\n' + b"".join(lines) + tail)
    return path


async def read(tallying: Tallying, paths: Sequence[Path]) -> None:
    tallying.start(paths)
    await tallying.read()
    assert tallying.complete


async def test_after_a_restart_everything_is_there_that_was_told_before(tmp_path: Path) -> None:
    before = Tallying(NOON)
    events: list[RequestFinished | HitChecked] = [
        ANSWERED,
        replace(ANSWERED, request_id="req_2", reasons=("short",)),
        CHECKED,
    ]
    for event in events:
        before.tell(event)
    after = Tallying(NOON)
    await read(after, [write(tmp_path / "2026-11-23.000001.ndjson", events)])
    assert not before.totals().complete
    assert after.totals() == decode(after.snapshot()) == replace(before.totals(), complete=True)


async def test_what_is_told_meanwhile_is_added(tmp_path: Path) -> None:
    tallying = Tallying(NOON)
    tallying.start([write(tmp_path / "2026-11-23.000001.ndjson", [ANSWERED] * 1_200)])
    tallying.tell(ANSWERED)
    assert not tallying.complete
    await tallying.read()
    (sums,) = tallying.totals().rows.values()
    assert sums.requests == 1_201


async def test_lines_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    torn = b'{"type":"request","at":1}\nnonsense\n{"type":"request","at":17'
    tallying = Tallying(NOON)
    await read(tallying, [write(tmp_path / "2026-11-23.000001.ndjson", [ANSWERED, CHECKED], tail=torn)])
    assert sum(tallying.totals().rows.values(), NOTHING).requests == 1
    assert tallying.totals().parts[PartKey(20_780, "shop", "checked", "same")] == 1


async def test_files_of_older_months_are_not_opened(tmp_path: Path) -> None:
    old = write(tmp_path / "2026-09-30.000001.ndjson", [ANSWERED], NOON_S)
    gone = tmp_path / "2026-11-01.000001.ndjson"
    last_month = write(tmp_path / "2026-10-01.000001.ndjson", [ANSWERED], NOON_S - 53 * DAY_S)
    tallying = Tallying(NOON)
    await read(tallying, [old, last_month, gone])
    assert {kind.day for kind in tallying.totals().rows} == {20_780 - 53}


@pytest.mark.parametrize("lines", [0, 5_000])
async def test_it_can_be_stopped_before_all_is_read(tmp_path: Path, lines: int) -> None:
    tallying = Tallying(NOON)
    tallying.start([write(tmp_path / "2026-11-23.000001.ndjson", [ANSWERED] * lines)])
    await tallying.stop()
    assert not tallying.complete


async def test_without_a_start_there_is_nothing_to_stop() -> None:
    await Tallying(NOON).stop()


async def test_what_a_service_used_most_last_month_is_known_once_the_files_are_read(tmp_path: Path) -> None:
    file = write(tmp_path / "2026-10-24.000001.ndjson", [ANSWERED], NOON_S - 30 * DAY_S)
    tallying = Tallying(NOON)
    assert tallying.most_used_last_month("shop", NOON_S) is None
    await read(tallying, [file])
    assert tallying.most_used_last_month("shop", NOON_S) == "flash"
    assert tallying.most_used_last_month("stranger", NOON_S) is None
    assert tallying.most_used_last_month("shop", NOON_S + 30 * DAY_S) is None, "a month in which nobody asked"

from __future__ import annotations

import io
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.request_log import RequestLog
from gateway.core.events import Stored
from tests.adapters.happened import ANSWERED


def read(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


async def test_each_request_is_a_line_with_all_that_was_told(tmp_path: Path) -> None:
    file = tmp_path / "requests.log"
    log = RequestLog(file, SystemClock())
    log.start()
    for number in range(1_200):
        log.tell(replace(ANSWERED, request_id=f"req_{number}"))
    log.tell(Stored("exact", "shop"))
    await log.stop()
    lines = read(file)
    assert [line["request_id"] for line in lines] == [f"req_{number}" for number in range(1_200)]
    assert lines[0].keys() == {"event", "at"} | {field.name for field in fields(ANSWERED)}
    assert (lines[0]["event"], lines[0]["cost_nano_usd"], lines[0]["at"][-6:]) == ("request", 250_000_000, "+00:00")


async def test_a_file_that_was_renamed_is_begun_anew(tmp_path: Path) -> None:
    file, log = tmp_path / "requests.log", RequestLog(tmp_path / "requests.log", SystemClock())
    log.tell(ANSWERED)
    log.start()
    while not file.exists() or not file.read_bytes():
        pass  # each round looks at the disk, which the other thread writes
    file.rename(tmp_path / "requests.log.1")
    log.tell(ANSWERED)
    await log.stop()
    assert len(read(file)) == len(read(tmp_path / "requests.log.1")) == 1


async def test_what_does_not_fit_is_dropped_and_a_line_says_how_many(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.log", SystemClock(), most_waiting=2)
    for _ in range(5):
        log.tell(ANSWERED)
    log.start()
    await log.stop()
    *lines, last = read(tmp_path / "requests.log")
    assert [line["event"] for line in lines] == ["request", "request"]
    assert last == {"event": "dropped", "lines": 3}


async def test_it_goes_to_standard_error_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stderr", stderr)
    log = RequestLog(None, SystemClock())
    log.start()
    log.tell(ANSWERED)
    await log.stop()
    assert orjson.loads(stderr.buffer.getvalue())["request_id"] == "req_1"


async def test_a_disk_that_takes_nothing_is_told_once_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog(tmp_path, SystemClock())  # a folder
    log.start()
    for _ in range(3):
        log.tell(ANSWERED)
    await log.stop()
    assert [record.message[:38] for record in caplog.records] == ["the request log cannot be written: [Er"]

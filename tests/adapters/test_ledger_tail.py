from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.ledger_tail import TAIL_BYTES, LedgerTail, lines_of, restore

LINES = [b'{"n":1}\n', b'{"n":22}\n', b'{"n":333}\n']
BEFORE = b'{"type":"head"}\n'


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return ledger_in(tmp_path)


def ledger_in(folder: Path) -> Path:
    path = folder / "2026-11-23.000001.ndjson"
    path.write_bytes(BEFORE)
    return path


def begun(ledger: Path, *lines: bytes) -> LedgerTail:
    tail = LedgerTail.begin(ledger, ledger.stat().st_size)
    assert all(map(tail.add, lines))
    return tail


def tail_of(ledger: Path) -> Path:
    return ledger.with_suffix(".tail")


def test_what_is_added_is_read_with_the_file_before_it_is_written(ledger: Path) -> None:
    begun(ledger, *LINES)
    assert ledger.read_bytes() == BEFORE
    assert list(lines_of(ledger)) == [BEFORE, *LINES]


def test_only_the_owner_may_read_it(ledger: Path) -> None:
    begun(ledger)
    assert tail_of(ledger).stat().st_mode & 0o777 == 0o600


def test_what_a_killed_process_had_added_is_in_the_file_after_the_next_start(ledger: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from gateway.adapters.ledger_tail import LedgerTail\n"
        "ledger = Path(sys.argv[1])\n"
        "tail = LedgerTail.begin(ledger, ledger.stat().st_size)\n"
        "for number in range(1_000):\n"
        "    tail.add(b'{\"n\":%d}\\n' % number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, ledger], env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    restore(ledger.parent)
    assert ledger.read_bytes() == BEFORE + b"".join(b'{"n":%d}\n' % number for number in range(1_000))
    assert not tail_of(ledger).exists()


@given(written=st.integers(0, len(b"".join(LINES))))
def test_wherever_a_kill_cut_the_writing_each_line_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, written: int
) -> None:
    ledger = ledger_in(tmp_path_factory.mktemp("cut"))
    begun(ledger, *LINES)
    ledger.write_bytes(BEFORE + b"".join(LINES)[:written])
    assert list(lines_of(ledger)) == [BEFORE, *LINES]
    restore(ledger.parent)
    assert ledger.read_bytes() == BEFORE + b"".join(LINES)


@given(torn=st.integers(1, 8 + len(LINES[2])))
def test_a_line_that_a_kill_tore_is_not_taken(tmp_path_factory: pytest.TempPathFactory, torn: int) -> None:
    ledger = ledger_in(tmp_path_factory.mktemp("torn"))
    begun(ledger, *LINES)
    whole = tail_of(ledger).read_bytes()
    end = 8 + sum(8 + len(line) for line in LINES)
    tail_of(ledger).write_bytes(whole[: end - torn] + bytes(len(whole) - end + torn))
    assert list(lines_of(ledger)) == [BEFORE, *LINES[:2]]


@given(steps=st.lists(st.binary(max_size=30) | st.none(), max_size=40))
def test_a_reader_has_all_lines_once_in_order_whenever_they_are_written(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes | None]
) -> None:
    ledger = ledger_in(tmp_path_factory.mktemp("beside"))
    tail, added, waiting = begun(ledger), [BEFORE], b""
    for step in steps:
        if step is None:  # written, but the process has not come to say so
            ledger.write_bytes(ledger.read_bytes() + waiting)
            assert list(lines_of(ledger)) == added
            tail.written(ledger.stat().st_size)
            waiting = b""
        else:
            line = step.hex().encode() + b"\n"
            assert tail.add(line)
            added.append(line)
            waiting += line
        assert list(lines_of(ledger)) == added


def test_nothing_overtakes_a_line_that_did_not_fit(ledger: Path) -> None:
    tail = begun(ledger, LINES[0])
    assert not tail.add(b"x" * TAIL_BYTES)
    assert not tail.add(LINES[1])
    assert list(lines_of(ledger)) == [BEFORE, LINES[0]]
    tail.written(len(BEFORE))
    assert tail.add(LINES[1])


def test_restoring_twice_is_restoring_once(ledger: Path) -> None:
    begun(ledger, *LINES)
    kept = tail_of(ledger).read_bytes()
    restore(ledger.parent)
    tail_of(ledger).write_bytes(kept)
    restore(ledger.parent)
    assert ledger.read_bytes() == BEFORE + b"".join(LINES)


def test_a_file_that_a_dead_machine_cut_short_gets_no_hole(ledger: Path) -> None:
    begun(ledger, *LINES)
    ledger.write_bytes(BEFORE[:4])
    assert list(lines_of(ledger)) == [BEFORE[:4]]
    restore(ledger.parent)
    assert ledger.read_bytes() == BEFORE[:4]


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0" * 100])
def test_a_tail_that_was_never_begun_says_nothing(ledger: Path, content: bytes) -> None:
    tail_of(ledger).write_bytes(content)
    assert list(lines_of(ledger)) == [BEFORE]


def test_a_tail_without_its_file_is_deleted(ledger: Path) -> None:
    begun(ledger, *LINES)
    ledger.unlink()
    restore(ledger.parent)
    assert list(ledger.parent.iterdir()) == []

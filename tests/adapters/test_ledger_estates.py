from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.ledger_estates import estates_of, folder_of, worker_folders
from gateway.core.seat import Seat


def test_the_first_worker_writes_where_a_gateway_of_one_process_does(tmp_path: Path) -> None:
    assert folder_of(tmp_path, Seat(0, 4)) == folder_of(tmp_path, Seat()) == tmp_path
    assert folder_of(tmp_path, Seat(3, 4)) == tmp_path / "worker-3"


def test_only_folders_of_workers_count(tmp_path: Path) -> None:
    for name in ("worker-1", "worker-10", "worker-x", "other"):
        (tmp_path / name).mkdir()
    assert worker_folders(tmp_path) == [tmp_path / "worker-1", tmp_path / "worker-10"]


@given(st.sets(st.integers(1, 12)), st.integers(1, 12))
def test_every_folder_has_one_worker_that_answers_for_it(there: set[int], count: int) -> None:
    with TemporaryDirectory() as folder:
        ledger = Path(folder)
        for number in there:
            (ledger / f"worker-{number}").mkdir()
        seats = [Seat(number, count) for number in range(count)]
        answered = [each for seat in seats for each in (folder_of(ledger, seat), *estates_of(ledger, seat))]
    assert len(answered) == len(set(answered))
    assert set(answered) >= {ledger, *(ledger / f"worker-{number}" for number in there)}

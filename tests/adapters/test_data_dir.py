from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.adapters.data_dir import DataDir, DataDirError

OWNER = """
import sys
from pathlib import Path
from gateway.adapters.data_dir import DataDir
owned = DataDir(Path(sys.argv[1]))
print("owned", flush=True)
sys.stdin.read()
"""


def test_a_new_data_directory_is_private(tmp_path: Path) -> None:
    with DataDir(tmp_path / "a" / "b") as owned:
        assert stat.S_IMODE(owned.path.stat().st_mode) == 0o700
        assert stat.S_IMODE(owned.file("owner.lock").stat().st_mode) == 0o600


def test_a_second_gateway_is_refused_with_the_pid_the_folder_and_the_mend(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"owned\n"
        with pytest.raises(DataDirError) as refused:
            DataDir(tmp_path)
        other.kill()
    message = str(refused.value)
    assert f"pid {other.pid}" in message
    assert str(tmp_path) in message
    assert "--data-dir" in message
    assert "THRIFTGATE_DATA_DIR" in message


def test_the_folder_of_a_killed_gateway_is_free_at_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
    with DataDir(tmp_path) as owned:
        assert owned.file("owner.lock").read_text() == f"{os.getpid()}\n"


def test_closing_gives_the_folder_up_and_may_be_repeated(tmp_path: Path) -> None:
    first = DataDir(tmp_path)
    first.close()
    first.close()
    DataDir(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataDirError, match=r"cannot use data directory .*file/data: Not a directory.*--data-dir"):
        DataDir(tmp_path / "file" / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named_with_the_mend(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataDirError, match=r"Permission denied.*--data-dir"):
        DataDir(tmp_path)


def test_a_short_path_keeps_its_socket_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with DataDir(Path("d")) as owned:
        assert owned.path == tmp_path / "d"
        assert owned.socket("s") == tmp_path / "d" / "s"


def test_a_long_path_gets_the_same_short_private_folder_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with DataDir(tmp_path / ("x" * 120)) as owned:
        socket = owned.socket("s")
        assert socket == owned.socket("s")
        assert socket.parent.parent == tmp_path
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_a_folder_that_others_can_enter_is_not_used_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with DataDir(tmp_path / ("x" * 120)) as owned:
        trap = owned.socket("s").parent
        trap.chmod(0o755)
        assert owned.socket("s").parent != trap
        owned.socket("s").parent.rmdir()

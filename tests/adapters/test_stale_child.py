from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.adapters.child_exec import identity
from gateway.adapters.stale_child import end_all_stale, end_stale

SLEEPER = "import sys; print('up', flush=True); sys.stdin.read()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    yield from _running(SLEEPER)


@pytest.fixture
def deaf() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ignores SIGTERM."""
    yield from _running(DEAF)


def _running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


async def test_a_process_with_the_recorded_identity_is_ended(
    tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    pid_file = tmp_path / "child.pid"
    pid_file.write_text(f"{bystander.pid} {identity(bystander.pid)}\n")
    assert await end_stale(pid_file) == bystander.pid
    assert bystander.wait() == -15
    assert not pid_file.exists()


async def test_an_unrelated_process_that_got_the_pid_is_left_alone(
    tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    pid_file = tmp_path / "child.pid"
    pid_file.write_text(f"{bystander.pid} {identity(os.getpid())}\n")
    assert await end_stale(pid_file) is None
    assert bystander.poll() is None
    assert not pid_file.exists()


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path, deaf: subprocess.Popen[bytes]) -> None:
    pid_file = tmp_path / "child.pid"
    pid_file.write_text(f"{deaf.pid} {identity(deaf.pid)}\n")
    assert await end_stale(pid_file, grace_s=0.05) == deaf.pid
    assert deaf.wait() == -9


async def test_every_pid_file_of_a_folder_is_looked_at(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    (tmp_path / "a.pid").write_text("nonsense\n")
    (tmp_path / "a-model-of-last-week.pid").write_text(f"{bystander.pid} {identity(bystander.pid)}\n")
    assert await end_all_stale(tmp_path) == [bystander.pid]


@pytest.mark.parametrize("text", ["", "not a pid\n", "4194305 x:1\n"])
async def test_a_pid_file_that_names_no_process_ends_nothing(tmp_path: Path, text: str) -> None:
    pid_file = tmp_path / "child.pid"
    pid_file.write_text(text)
    assert await end_stale(pid_file) is None


async def test_no_pid_file_means_nothing_to_end(tmp_path: Path) -> None:
    assert await end_stale(tmp_path / "child.pid") is None


async def test_without_pidfds_a_stale_child_is_ended_all_the_same(
    tmp_path: Path, bystander: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    pid_file = tmp_path / "child.pid"
    pid_file.write_text(f"{bystander.pid} {identity(bystander.pid)}\n")
    assert await end_stale(pid_file, grace_s=0.05) is not None


def test_the_identity_of_no_process_is_none() -> None:
    assert identity(4194305) is None  # above the kernel's highest pid_max, 2**22

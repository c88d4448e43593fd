from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.child_exec import identity
from gateway.adapters.child_process import Backoff, ChildNotReady, ChildProcess, Command, Phase, last_words
from tests.fixtures.children import States

UP = "import sys, signal; print('up', flush=True); signal.pause()"
DEAF = "import sys, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
FAST = Backoff(first_s=0.001, cap_s=0.004, healthy_s=3600)


async def says_up(process: Process) -> None:
    assert process.stdout is not None
    if await process.stdout.readline() != b"up\n":
        raise ValueError("it did not say up")


async def never(_process: Process) -> None:
    await asyncio.Event().wait()


def child(
    folder: Path,
    program: str,
    *,
    ready: Callable[[Process], Awaitable[None]] = says_up,
    environment: dict[str, str] | None = None,
    ready_s: float = 30.0,
    stop_s: float = 5.0,
    on_state: States | None = None,
) -> ChildProcess:
    command = Command([sys.executable, "-c", program], environment or {}, announces=True)
    return ChildProcess(
        "it",
        command,
        ready=ready,
        pid_file=folder / "it.pid",
        log_file=folder / "it.log",
        backoff=FAST,
        ready_s=ready_s,
        stop_s=stop_s,
        on_state=on_state,
    )


async def test_a_child_is_ready_when_its_probe_says_so_and_gone_when_stopped(tmp_path: Path) -> None:
    it = child(tmp_path, UP)
    await it.start()
    await it.wait_ready(30)
    pid = it.state.pid
    assert pid is not None
    assert (tmp_path / "it.pid").read_text() == f"{pid} {identity(pid)}\n"
    await it.stop()
    assert identity(pid) is None
    assert it.state.phase is Phase.STOPPED
    assert not (tmp_path / "it.pid").exists()


async def test_a_killed_child_is_started_again_and_the_reason_is_told(tmp_path: Path, states: States) -> None:
    it = child(tmp_path, UP, on_state=states)
    await it.start()
    first = await states.until(Phase.READY)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    assert (await states.until(Phase.RESTARTING)).detail == "it was ended by SIGKILL"
    second = await states.until(Phase.READY)
    assert second.pid != first.pid
    assert second.starts == 2
    await it.stop()


async def test_the_last_words_of_a_child_that_fails_are_in_the_error(tmp_path: Path, states: States) -> None:
    it = child(tmp_path, "import sys; sys.exit('no such model')", on_state=states)
    await it.start()
    await states.until(Phase.RESTARTING)
    with pytest.raises(ChildNotReady, match=r"it is not ready: it .*: no such model"):
        await it.wait_ready(0)
    await it.stop()


async def test_a_child_that_is_not_ready_in_time_is_ended_and_started_again(tmp_path: Path, states: States) -> None:
    it = child(tmp_path, UP, ready=never, ready_s=0.05, on_state=states)
    await it.start()
    assert (await states.until(Phase.RESTARTING)).detail == "it was not ready after 0.05 s"
    assert (await states.until(Phase.STARTING)).starts == 2
    await it.stop()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    it = child(tmp_path, DEAF, stop_s=0.05)
    await it.start()
    await it.wait_ready(30)
    pid = it.state.pid
    assert pid is not None
    await it.stop()
    assert identity(pid) is None


async def test_stopping_at_any_early_moment_leaves_no_process(tmp_path: Path) -> None:
    for turns_of_the_loop in range(12):
        it = child(tmp_path, UP)
        await it.start()
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        await it.stop()
        assert it.state.pid is None
        assert not (tmp_path / "it.pid").exists()


async def test_stopping_twice_or_before_the_start_is_harmless(tmp_path: Path) -> None:
    it = child(tmp_path, UP)
    await it.stop()
    await it.start()
    await it.stop()
    await it.stop()


async def test_a_child_sees_no_secret_of_the_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    it = child(tmp_path, f"import os, sys; print(*sorted(os.environ), file=sys.stderr); {UP}", environment={"ITS": "1"})
    await it.start()
    await it.wait_ready(30)
    await it.stop()
    seen = (tmp_path / "it.log").read_text().split()
    assert "ITS" in seen
    assert "PATH" in seen
    assert "OPENAI_API_KEY" not in seen


async def test_a_child_has_no_standard_input_and_a_session_of_its_own(tmp_path: Path) -> None:
    it = child(
        tmp_path, f"import os, sys; print(sys.stdin.read() == '', os.getsid(0) == os.getpid(), file=sys.stderr); {UP}"
    )
    await it.start()
    await it.wait_ready(30)
    await it.stop()
    assert last_words(tmp_path / "it.log") == "True True"


async def test_the_log_of_an_earlier_run_is_dropped_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "it.log").write_text("old\n" * 1000)
    it = child(tmp_path, UP)
    await it.start()
    await it.wait_ready(30)
    await it.stop()
    assert (tmp_path / "it.log").read_text() == ""


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path, states: States) -> None:
    command = Command(["/no/such/program"])
    it = ChildProcess(
        "it", command, ready=never, pid_file=tmp_path / "it.pid", log_file=tmp_path / "it.log", on_state=states
    )
    await it.start()
    detail = (await states.until(Phase.RESTARTING)).detail
    assert detail == "it ended with status 127: child_exec: /no/such/program: No such file or directory"
    await it.stop()


@given(st.integers(0, 10_000), st.floats(0.001, 10), st.floats(10, 1000))
def test_the_backoff_never_falls_and_stays_under_its_cap(short_lives: int, first_s: float, cap_s: float) -> None:
    backoff = Backoff(first_s, cap_s)
    assert first_s <= backoff.delay_s(short_lives) <= backoff.delay_s(short_lives + 1) <= cap_s


def test_a_loop_that_closes_without_stop_ends_its_children(tmp_path: Path) -> None:
    async def start_and_leave() -> int | None:
        it = child(tmp_path, UP)
        await it.start()
        await it.wait_ready(30)
        return it.state.pid

    pid = uvloop.run(start_and_leave())
    assert pid is not None
    assert identity(pid) is None


async def test_a_child_keeps_the_sockets_it_is_given_and_talks_where_we_do(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    with here, there:
        program = f"import socket; socket.socket(fileno={there.fileno()}).sendall(b'x'); " + UP
        it = ChildProcess(
            "it",
            Command([sys.executable, "-c", program], announces=True, sockets=(there.fileno(),)),
            ready=says_up,
            pid_file=tmp_path / "it.pid",
            log_file=None,
        )
        await it.start()
        await it.wait_ready(30)
        assert here.recv(1) == b"x"
        await it.stop()
    assert not (tmp_path / "it.log").exists()

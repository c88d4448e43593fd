from __future__ import annotations

import os
import platform
import signal
import stat
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.adapters.child_process import Backoff, ChildNotReady, Phase
from gateway.adapters.data_dir import DataDir
from gateway.adapters.valkey_child import ValkeyChild, ValkeyMissing, find_valkey
from tests.fixtures.children import States


async def test_valkey_answers_on_its_private_socket_and_no_tcp_port(data_dir: DataDir) -> None:
    child = ValkeyChild(data_dir)
    await child.start()
    async with Redis.from_url(child.url) as client:
        assert (await client.config_get("port"))["port"] == "0"
    assert stat.S_IMODE(child.socket.stat().st_mode) == 0o700
    await child.stop()


async def test_a_write_survives_a_killed_valkey(data_dir: DataDir, states: States) -> None:
    child = ValkeyChild(data_dir, backoff=Backoff(first_s=0.001), on_state=states)
    await child.start()
    first = await states.until(Phase.READY)
    async with Redis.from_url(child.url) as client:
        await client.set("k", "written")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await states.until(Phase.RESTARTING)
    await states.until(Phase.READY)
    async with Redis.from_url(child.url) as client:
        assert await client.get("k") == b"written"
    await child.stop()


async def test_a_stopped_valkey_starts_again_with_what_it_knew(data_dir: DataDir) -> None:
    child = ValkeyChild(data_dir)
    await child.start()
    async with Redis.from_url(child.url) as client:
        await client.set("k", "kept")
    await child.stop()
    assert not child.socket.exists()
    await child.start()
    async with Redis.from_url(child.url) as client:
        assert await client.get("k") == b"kept"
    await child.stop()


async def test_a_valkey_that_cannot_start_says_why(data_dir: DataDir) -> None:
    folder = data_dir.file("appendonlydir")
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    child = ValkeyChild(data_dir)
    with pytest.raises(ChildNotReady, match=r"valkey is not ready: valkey ended with status 1: .*"):
        await child.start(timeout_s=0.5)
    assert child.child.state.phase is Phase.STOPPED


async def test_a_data_directory_with_a_long_path_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with DataDir(tmp_path / ("x" * 120)) as long:
        child = ValkeyChild(long)
        await child.start()
        async with Redis.from_url(child.url) as client:
            assert await client.ping()
        await child.stop()


def test_without_the_wheel_the_program_on_the_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    assert find_valkey() == program


def test_without_any_program_the_error_names_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(ValkeyMissing, match="REDIS_URL"):
        find_valkey()

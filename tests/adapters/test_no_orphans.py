"""A gateway killed with SIGKILL leaves no child: at once where the kernel helps, else at the next start."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.adapters.child_exec import identity
from gateway.adapters.data_dir import DataDir
from gateway.adapters.valkey_child import ValkeyChild, find_valkey

GATEWAY = """
import asyncio, sys
from pathlib import Path
import uvloop
from gateway.adapters.data_dir import DataDir
from gateway.adapters.llama_child import Engine, LlamaServer
from gateway.adapters.valkey_child import ValkeyChild

async def main() -> None:
    owned = DataDir(Path(sys.argv[1]))
    valkey, llama = ValkeyChild(owned), LlamaServer(Engine(sys.argv[2], slots=1), owned)
    await valkey.start()
    await llama.start()
    await llama.wait_ready(60)
    print(valkey.child.state.pid, llama.child.state.pid, flush=True)
    await asyncio.Event().wait()

uvloop.run(main())
"""

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel ties a child to its parent")


@pytest.fixture
def gateway(tmp_path: Path, tiny_model: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that owns a data directory and runs a Valkey and a model in it; prints their pids when both are up."""
    argv = [sys.executable, "-c", GATEWAY, str(tmp_path / "data"), str(tiny_model)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def orphan(data_dir: DataDir) -> Iterator[subprocess.Popen[bytes]]:
    """A Valkey in the data directory whose gateway is gone, as after a kill where nothing ties children to parents."""
    argv = [str(find_valkey()), "--port", "0", "--unixsocket", str(data_dir.socket("valkey.sock"))]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=data_dir.path) as process:
        data_dir.file("valkey.pid").write_text(f"{process.pid} {identity(process.pid)}\n")
        yield process
        process.kill()


@linux_only
def test_killing_the_gateway_ends_its_valkey_and_its_model(gateway: subprocess.Popen[bytes]) -> None:
    children = [os.pidfd_open(int(pid)) for pid in _first_line(gateway).split()]
    gateway.kill()
    for child in children:
        ended, _, _ = select.select([child], [], [], 30)
        os.close(child)
        assert ended, "a child outlived its gateway"


@linux_only
async def test_the_next_gateway_takes_over_the_data_of_a_killed_one(
    gateway: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    _first_line(gateway)
    async with Redis.from_url(f"unix://{tmp_path}/data/valkey.sock") as client:
        await client.set("k", "before")
    gateway.kill()
    gateway.wait()
    with DataDir(tmp_path / "data") as owned:
        child = ValkeyChild(owned)
        await child.start()
        async with Redis.from_url(child.url) as client:
            assert await client.get("k") == b"before"
        await child.stop()


async def test_a_valkey_that_outlived_its_gateway_is_ended_before_a_new_one_starts(
    data_dir: DataDir, orphan: subprocess.Popen[bytes]
) -> None:
    child = ValkeyChild(data_dir)
    await child.start()
    assert orphan.wait() in {0, -signal.SIGTERM}
    async with Redis.from_url(child.url) as client:
        assert (await client.info("server"))["process_id"] == child.child.state.pid
    await child.stop()


def _first_line(gateway: subprocess.Popen[bytes]) -> str:
    assert gateway.stdout is not None
    return gateway.stdout.readline().decode()

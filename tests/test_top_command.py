"""`thriftgate top` over a real gateway, printed once and live in a terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import cli
from gateway.top_command import dollars
from tests.fixtures.gateway import Config, Running, running

TERRA = "gpt-6.1-terra"
SHOP, ADMIN = ({"authorization": f"Bearer {key}"} for key in ("key-shop", "admin"))


def with_services(config: Config, **server: Any) -> Config:
    services = [{"name": "shop", "key": "key-shop", "budget": {"usd": 2.5, "window": "day"}}]
    return {**config, "server": {"admin_key": "admin", **server}, "services": services}


async def top(gateway: Running, *arguments: str) -> int:
    """In a thread, because it waits for the gateway, which is in this one."""
    return await asyncio.to_thread(cli.main, ["top", "--url", gateway.url, "--once", *arguments])


async def test_it_prints_what_the_api_says(
    tmp_path: Path, four_providers: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await gateway.ask("Hello", TERRA, SHOP)
        await gateway.ask("Hello", TERRA, SHOP)
        await gateway.ask("Good morning", "auto:light", SHOP)
        status = await top(gateway)
        told = (await gateway.http.get("/v1/thriftgate/figures", headers=ADMIN)).json()
    said = capsys.readouterr().out
    assert status == 0
    for text in (told["today"]["total_usd"], told["range"]["baseline_usd"], told["range"]["net_saved_usd"]):
        assert dollars(text) in said
    for cause in told["saved_by_cause"]:
        assert f"-{dollars(cause['usd'])}" in said
    for request in told["recent"]:
        assert request["at"][11:19] in said
    assert "shop day" in said


@pytest.mark.parametrize("columns", [20, 50, 80, 120, 300])
async def test_it_fits_any_width(
    tmp_path: Path,
    four_providers: Config,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    async with running(tmp_path, with_services(four_providers)) as gateway:
        await gateway.ask("Hello", TERRA, SHOP)
        assert await top(gateway) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns


async def test_beyond_loopback_it_needs_a_key_and_says_where_to_put_it(
    tmp_path: Path, four_providers: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THRIFTGATE_KEY", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    async with running(tmp_path, with_services(four_providers, host="0.0.0.0")) as gateway:
        without = await top(gateway)
        refused = capsys.readouterr().out
        monkeypatch.setenv("THRIFTGATE_KEY", "key-shop")
        own = await top(gateway)
    assert (without, own) == (1, 0)
    assert "Set THRIFTGATE_KEY." in refused
    assert "shop" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://127.0.0.1:1", "does not answer"), ("http://127.0.0.1:port", "does not answer")],
)
def test_where_nobody_answers_it_says_so(url: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["top", "--url", url, "--once"]) == 1
    assert why in capsys.readouterr().out


async def test_in_a_terminal_it_goes_on_through_a_change_of_size(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, with_services(four_providers)) as gateway:
        ours, process = in_a_terminal("top", "--url", gateway.url, "--every", "0.2")
        try:
            wide = await asyncio.to_thread(read_until, ours, r"saved, net.*latest requests")
            resize(ours, 24, 80)
            await gateway.ask("Hello", TERRA, SHOP)
            await asyncio.to_thread(read_until, ours, r"latest requests.*gpt-6\.1")
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(read_until, ours, r"\x1b\[\?1049l")  # the screen from before is back
            status = await asyncio.to_thread(process.wait, 30)
        finally:
            process.kill()
            process.wait()
            os.close(ours)
    assert "Thriftgate" in wide
    assert status == 0


def in_a_terminal(*arguments: str) -> tuple[int, subprocess.Popen[bytes]]:
    """The command with a terminal of 40 lines and 120 columns, and our end of it."""
    ours, theirs = pty.openpty()
    resize(theirs, 40, 120)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)
    return ours, process


def resize(terminal: int, lines: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def read_until(terminal: int, pattern: str) -> str:
    """What the program has written, until that is in it."""
    seen = ""
    while not re.search(pattern, seen, re.DOTALL):
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, f"nothing more after {seen[-2_000:]!r}"
        seen = (seen + os.read(terminal, 65_536).decode(errors="replace"))[-100_000:]
        assert len(seen) < 100_000, seen[-2_000:]
    return seen


@pytest.mark.parametrize(
    ("exact", "shown"),
    [
        ("0.000000000", "$0"),
        ("0.000000001", "$0.000000001"),
        ("0.000087200", "$0.0000872"),
        ("0.003280000", "$0.00328"),
        ("0.012345678", "$0.0123"),
        ("1.005000001", "$1.01"),
        ("12345.678900000", "$12,345.68"),
        ("-0.500000000", "-$0.5000"),
    ],
)
def test_dollars_are_short_where_they_can_be(exact: str, shown: str) -> None:
    assert dollars(exact) == shown


@given(nano=st.integers(0, 10**15))
def test_what_is_shown_is_within_half_a_percent(nano: int) -> None:
    exact = Decimal(nano).scaleb(-9)
    shown = Decimal(dollars(f"{exact:.9f}").removeprefix("$").replace(",", ""))
    assert abs(shown - exact) <= exact * Decimal("0.0051")

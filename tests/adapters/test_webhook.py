from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.adapters.webhook import Webhook
from gateway.core.events import BudgetLevel, Event, Overshoot, SemanticClosed, Stored

WARNED = BudgetLevel("checkout", "month", "warn", 0.81)


class Inbox:
    """A chat service's webhook: keeps what it is sent, and answers with these statuses, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.posted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.url = ""
        self._statuses = list(statuses)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        status = self._statuses.pop(0) if self._statuses else 200
        writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()
        if status == 200:
            self.posted.put_nowait(body)


@asynccontextmanager
async def listening(*statuses: int) -> AsyncIterator[Inbox]:
    inbox = Inbox(*statuses)
    async with await asyncio.start_server(inbox.answer, "127.0.0.1", 0) as server:
        inbox.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook/secret-token"
        yield inbox


async def test_a_budget_that_fills_up_is_told_in_a_sentence_and_in_facts() -> None:
    async with listening() as inbox:
        webhook = Webhook(inbox.url)
        webhook.tell(WARNED)
        await webhook.stop()
        posted = inbox.posted.get_nowait()
    assert posted["text"] == "Thriftgate: checkout has used 81% of its budget for this month."
    assert posted["event"] == "budget_level"
    assert posted["facts"] == {"account": "checkout", "window_kind": "month", "level": "warn", "used_share": 0.81}


@pytest.mark.parametrize("event", [Overshoot("checkout", 3, 0), SemanticClosed("checkout", 100, 0.2, 0.13, 0.1)])
async def test_what_must_not_happen_is_told(event: Event) -> None:
    async with listening() as inbox:
        webhook = Webhook(inbox.url)
        webhook.tell(event)
        await webhook.stop()
        assert "checkout" in inbox.posted.get_nowait()["text"]


async def test_daily_business_is_not_told() -> None:
    async with listening() as inbox:
        webhook = Webhook(inbox.url)
        webhook.tell(Stored("exact", "checkout"))
        await webhook.stop()
        assert inbox.posted.empty()


async def test_an_address_that_fails_is_asked_again() -> None:
    async with listening(503) as inbox:
        webhook = Webhook(inbox.url, pause_s=0.01)
        webhook.start()
        webhook.tell(WARNED)
        assert (await inbox.posted.get())["event"] == "budget_level"
        await webhook.stop()


async def test_an_address_that_is_dead_stops_nobody_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as inbox:
        pass
    webhook = Webhook(inbox.url)
    webhook.tell(WARNED)
    await webhook.stop()
    assert "ConnectError" in caplog.text
    assert "secret-token" not in caplog.text

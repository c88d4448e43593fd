"""A gateway that everything has happened to, and the Prometheus that has scraped it: made once for all queries."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.busy import busy
from tests.fixtures.prometheus import Prometheus
from tests.fixtures.state import Valkey


@dataclass(frozen=True)
class Scraped:
    """A Prometheus, and the moment (Unix seconds) at which it had seen everything."""

    prometheus: Prometheus
    at_s: float


@pytest.fixture(scope="module")
async def scraped(shared_valkey: Valkey) -> AsyncIterator[Scraped]:
    shared_valkey.flush()
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        async with busy(Path(folder), shared_valkey.url) as (_, prometheus):
            yield Scraped(prometheus, await prometheus.until("vector(time())"))

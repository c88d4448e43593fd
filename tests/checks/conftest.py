"""The table's two axes, providers and modes, and a fresh gateway for each cell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client

from tests.checks.case import MODELS, Case
from tests.fixtures.gateway import Config, running, shipped_models
from tests.loopback import Upstream

MODES = ("whole", "streamed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    asked = {mark.name: mark.args for mark in metafunc.definition.iter_markers()}
    cells = [(backend, mode) for backend in asked.get("on", MODELS) for mode in asked.get("modes", MODES)]
    metafunc.parametrize("case", cells, ids=["-".join(cell) for cell in cells], indirect=True)


@pytest.fixture
def table_config(request: pytest.FixtureRequest, four_providers: Config) -> Config:
    """Four providers, the shipped rows of their models, and one attempt, so that a failure is seen as it is."""
    shipped = shipped_models("gpt-6.1-terra", "deepseek-flash", "claude-opus-5-5", "text-embedding-3-small")
    local = four_providers["models"]["local"] | {"forced_tools": "emulated"}  # as the shipped local model
    models = {**shipped, "local": local}
    keyed = request.node.get_closest_marker("keyed") is not None
    services = [{"name": "shop", "key": "key-a"}] if keyed else []
    return {**four_providers, "models": models, "upstream": {"attempts_per_model": 1}, "services": services}


@pytest.fixture
async def case(
    request: pytest.FixtureRequest, tmp_path: Path, table_config: Config, four_upstreams: dict[str, Upstream]
) -> AsyncIterator[Case]:
    backend, mode = request.param
    plain = DefaultAsyncHttpx2Client(verify=False, trust_env=False)  # as in `running`: no TLS here
    async with (
        running(tmp_path, table_config) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0, http_client=plain) as sdk,
    ):
        yield Case(gateway, four_upstreams, sdk, backend, mode == "streamed")

"""The one fixture set: each area's fixtures live in `tests/fixtures/`, so a test file only names what it needs."""

from __future__ import annotations

import hypothesis
import pytest

# No test depends on the speed of the machine. `make nightly` looks at far more examples than every change does.
hypothesis.settings.register_profile("house", deadline=None, max_examples=50)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile("house")

# A module that others import stands before them: pytest rewrites its asserts only if it is the first to import it.
pytest_plugins = [
    "tests.fixtures.state",
    "tests.fixtures.semantic",
    "tests.fixtures.qdrant",
    "tests.fixtures.ledger",
    "tests.fixtures.allotted",
    "tests.fixtures.children",
    "tests.fixtures.loopback",
    "tests.fixtures.gateway",
    "tests.fixtures.browser",
    "tests.fixtures.process",
]

collect_ignore = ["extras"]  # they need a virtualenv of their own: deploy/extras/test-extras.sh


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Tests run on the loop production runs on."""
    return "asyncio", {"use_uvloop": True}

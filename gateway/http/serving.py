"""What the routes behind the hot ones answer from.

They belong to the process (FastAPI keeps every endpoint it was ever given), and ask at each request what serves `now`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.plan import Catalog, Model
from gateway.core.service import Service
from gateway.http.auth import Keyring

Forget = Callable[[str | None, str | None], Awaitable[int | None]]
"""Owner (None: anybody) and key (None: any) → how many answers were deleted; None if a part could not be reached."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Of this process. `waiting_for` names each part that is not ready and why; `absent` what never will be (no key);
    `workers` is how many processes of this gateway serve, None if it never has but one."""

    waiting_for: Callable[[], Mapping[str, str]]
    absent: Callable[[], Mapping[str, str]]
    workers: Callable[[], int | None] = lambda: None

    def report(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body."""
        waiting = dict(self.waiting_for())
        body: dict[str, Any] = {
            "status": "starting" if waiting else "ready",
            "waiting_for": waiting,
            "absent": dict(self.absent()),
        }
        if (workers := self.workers()) is not None:
            body["workers"] = workers
        return (503 if waiting else 200), body


@dataclass(frozen=True, slots=True)
class Serving:
    """One configuration's. `services` are by name, and while none are configured the one that everybody is.
    `public_metrics` is whether they are shown without a key; `on_loopback` whether only this machine can connect."""

    catalog: Catalog
    embedding_models: tuple[Model, ...]
    keyring: Keyring
    services: Mapping[str, Service]
    forget: Forget
    readiness: Readiness
    public_metrics: bool
    on_loopback: bool


Now = Callable[[], Serving]
"""What serves at this moment."""

"""What a gateway has once, however many processes answer its requests: the data directory, the embedded state server
and the local models. A gateway of one process keeps its own; else the supervisor keeps it for all workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

from gateway.adapters.data_dir import DataDir, DataDirError
from gateway.adapters.llama_child import Engine, LlamaServer, LlamaUnavailable
from gateway.adapters.llama_provider import LocalModel
from gateway.adapters.stale_child import end_all_stale
from gateway.adapters.valkey_child import ValkeyChild, ValkeyMissing
from gateway.settings import Provider, Settings

HOUSEHOLD_ERRORS = (DataDirError, LlamaUnavailable, ValkeyMissing)
"""What keeps it from being made; each message names the mend."""
Say = Callable[[str], None]
"""Where progress is told, a line at a time."""


class Household(Protocol):
    """`models` are by the name of their provider. `redis_url` is good from the start on."""

    @property
    def redis_url(self) -> str: ...

    @property
    def models(self) -> Mapping[str, LocalModel]: ...

    async def start(self) -> None:
        """Returns when the state server answers; models go on loading behind."""

    async def stop(self) -> None: ...


class OwnHousehold:
    """It is kept here. Construction takes the data directory and starts nothing. `on_model` is called whenever a local
    model has another state or address.

    Raises DataDirError when another gateway has it, LlamaUnavailable and ValkeyMissing for what cannot run here.
    """

    def __init__(self, settings: Settings, say: Say, on_model: Callable[[], None] = lambda: None) -> None:
        self._say = say
        self._stack = AsyncExitStack()
        self.data_dir = DataDir(settings.data_dir)
        self._stack.callback(self.data_dir.close)
        self._valkey = ValkeyChild(self.data_dir) if settings.state.redis_url == "embedded" else None
        self._redis_url = settings.state.redis_url
        self._models = {
            name: LlamaServer(_engine(local), self.data_dir, on_state=lambda state: on_model())
            for name, local in children(settings).items()
        }

    @property
    def redis_url(self) -> str:
        return self._valkey.url if self._valkey else self._redis_url

    @property
    def models(self) -> Mapping[str, LlamaServer]:
        return self._models

    async def start(self) -> None:
        for pid in await end_all_stale(self.data_dir.path):
            self._say(f"ended process {pid}, left by a gateway that was killed")
        if self._valkey is not None:
            started_s = time.monotonic()
            await self._valkey.start()
            self._stack.push_async_callback(self._valkey.stop)
            self._say(f"state: valkey ready ({time.monotonic() - started_s:.2f} s)")
        for model in self._models.values():
            await model.start()
            self._stack.push_async_callback(model.stop)

    async def stop(self) -> None:
        """Models first, the state server then, and the data directory is given up last."""
        await self._stack.aclose()


def children(settings: Settings) -> dict[str, Provider]:
    """The providers that are child processes of this gateway, by name."""
    return {name: provider for name, provider in settings.providers.items() if provider.is_child}


def _engine(provider: Provider) -> Engine:
    return Engine(provider.model or "", provider.launcher, provider.parallel, provider.context_tokens, provider.threads)

"""A provider whose server is our own child: an ordinary HTTP provider, once the model is loaded.

A request that comes earlier waits, at most as long as any request may wait for its first token, and then
fails with the name of what it waited for, so that another model can be tried. A restarted child has another port,
so the HTTP provider is made anew; the old one's requests died with the old child.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from gateway.adapters.child_process import ChildNotReady
from gateway.core.chat import ChatRequest
from gateway.core.errors import UpstreamTimeout
from gateway.core.plan import Model
from gateway.ports import Answered, Provider, Upstream


class LocalModel(Protocol):
    """A model that a child process serves: of this process, or of its supervisor. Its address changes whenever the
    child is restarted; `base_url` is None before the first time it is ready."""

    @property
    def model(self) -> str: ...

    @property
    def base_url(self) -> str | None: ...

    @property
    def api_key(self) -> str: ...

    @property
    def total_slots(self) -> int:
        """Requests that it answers at once, for this process."""

    @property
    def waiting_for(self) -> str | None:
        """What a caller would wait for now, in words a client may read; None when it can answer."""

    async def wait_ready(self, timeout_s: float) -> None:
        """Raises ChildNotReady."""


class LlamaProvider:
    """`server` is started and stopped by whoever made it. `connect` makes the HTTP provider for one that is ready: its
    `base_url`, `api_key` and `total_slots` are known by then. `wait_s` bounds the waiting of one request, unless its
    model has a deadline of its own."""

    def __init__(self, name: str, server: LocalModel, connect: Callable[[LocalModel], Provider], wait_s: float) -> None:
        self._name = name
        self._server = server
        self._connect = connect
        self._wait_s = wait_s
        self._connected: tuple[str | None, Provider] | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def absence(self) -> str | None:
        """Never: a model that cannot run here is refused when its `LlamaServer` is made."""
        return None

    @property
    def waiting_for(self) -> str | None:
        return self._server.waiting_for

    @asynccontextmanager
    async def chat(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> AsyncIterator[Upstream]:
        provider = await self._when_ready(model)
        async with provider.chat(chat, model, max_output_tokens, strict=strict) as upstream:
            yield upstream

    async def answer(
        self, chat: ChatRequest, model: Model, max_output_tokens: int | None, *, strict: bool = False
    ) -> Answered:
        return await (await self._when_ready(model)).answer(chat, model, max_output_tokens, strict=strict)

    async def embed(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        return await (await self._when_ready(model)).embed(body, model)

    async def _when_ready(self, model: Model) -> Provider:
        if self._server.waiting_for is not None:
            await self._wait(model.deadlines.first_token_s if model.deadlines else self._wait_s)
        if self._connected is None or self._connected[0] != self._server.base_url:
            self._connected = (self._server.base_url, self._connect(self._server))
        return self._connected[1]

    async def _wait(self, wait_s: float) -> None:
        try:
            await self._server.wait_ready(wait_s)
        except ChildNotReady as exc:
            waited_for = self._server.waiting_for or self._server.model
            raise UpstreamTimeout(f"{self._name}: {waited_for}, not ready after {wait_s:g} s") from exc

"""From provider settings to providers: which dialect, where, and over which transport."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.adapters.http_provider import HttpProvider
from gateway.adapters.llama_provider import LlamaProvider, LocalModel
from gateway.adapters.reasoning_memory import ReasoningMemory
from gateway.adapters.transport import Transport
from gateway.core.deadlines import Deadlines
from gateway.core.seat import Seat
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.deepseek import DeepSeek
from gateway.dialects.dialect import Dialect
from gateway.dialects.llamacpp import LlamaCpp
from gateway.dialects.openai import OpenAI
from gateway.flow.fleet import Fleet
from gateway.flow.hosts import Hosts
from gateway.ports import Cache, Provider
from gateway.settings import Loaded
from gateway.settings import Provider as ProviderSettings

_DIALECTS: dict[str, Dialect] = {
    "openai": OpenAI(),
    "deepseek": DeepSeek(),
    "anthropic": Anthropic(),
    "llamacpp": LlamaCpp(),
}
_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "deepseek": "https://api.deepseek.com",
    "anthropic": "https://api.anthropic.com",
}
_EMBEDDINGS_PATHS = {"openai": "/embeddings", "llamacpp": "/embeddings"}
_WANT_THEIR_REASONING = frozenset({"deepseek"})
"""Kinds that refuse a tool loop without the reasoning behind its calls."""


def _host_id(provider: str, base_url: str, api_key: str | None) -> str:
    """Another address or another key is another host, of which nothing is known yet."""
    return hashlib.sha256("\0".join((provider, base_url, api_key or "")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ProviderParts:
    """What providers use and do not own: connections, remembered reasoning, children (by provider), and what is known
    of every host."""

    transport: Transport
    cache: Cache
    servers: Mapping[str, LocalModel]
    fleet: Fleet
    seat: Seat = field(default_factory=Seat)

    def build(self, loaded: Loaded) -> dict[str, Hosts]:
        """New providers for all that are configured."""
        deadlines = Deadlines(**loaded.settings.timeouts.model_dump())
        return {name: self._hosts(name, loaded, deadlines) for name in loaded.settings.providers}

    def _hosts(self, name: str, loaded: Loaded, deadlines: Deadlines) -> Hosts:
        settings = loaded.settings.providers[name]
        server = self.servers.get(name)
        if server is not None:
            child = self.fleet.host(f"{name} child", server.model)
            provider = self._local(name, server, deadlines)
            return Hosts(self.fleet, [(child, provider)], lambda: server.total_slots, settings.max_wait_s)
        hosts = []
        for number, at in enumerate(loaded.hosts(name), 1):
            base_url = at.base_url or _BASE_URLS[settings.kind]
            host = self.fleet.host(_host_id(name, base_url, at.api_key), f"{urlsplit(base_url).netloc} ({number})")
            hosts.append((host, self._at(name, base_url, at.api_key, loaded, deadlines)))
        at_once = self._concurrency(settings)
        return Hosts(self.fleet, hosts, lambda: at_once, settings.max_wait_s)

    def _at(self, name: str, base_url: str, api_key: str | None, loaded: Loaded, deadlines: Deadlines) -> Provider:
        settings = loaded.settings.providers[name]
        provider = HttpProvider(
            name,
            base_url,
            api_key,
            _DIALECTS[settings.kind],
            self.transport,
            deadlines=deadlines,
            absence=loaded.absence(name),
            concurrency=self._concurrency(settings),
            embeddings_path=_EMBEDDINGS_PATHS.get(settings.kind),
        )
        return ReasoningMemory(provider, self.cache) if settings.kind in _WANT_THEIR_REASONING else provider

    def _concurrency(self, settings: ProviderSettings) -> int | None:
        """Of what the workers may ask at once together, the part of this one."""
        return None if settings.max_concurrency is None else self.seat.share(settings.max_concurrency)

    def _local(self, name: str, server: LocalModel, deadlines: Deadlines) -> LlamaProvider:
        def connect(ready: LocalModel) -> HttpProvider:
            assert ready.base_url is not None
            return HttpProvider(
                name,
                ready.base_url,
                ready.api_key,
                _DIALECTS["llamacpp"],
                self.transport,
                deadlines=deadlines,
                concurrency=ready.total_slots,
            )

        return LlamaProvider(name, server, connect, deadlines.first_token_s)

"""What metrics say of this moment: asked for when they are read, because no event tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from gateway.adapters import metric_names as names
from gateway.adapters.budget_gauges import Stand, budget_gauges
from gateway.adapters.memory_cache import MemoryCache
from gateway.adapters.metric_families import BILLION, Family, Labels, Value
from gateway.adapters.prometheus import PrometheusMetrics
from gateway.adapters.siblings import Siblings
from gateway.core.plan import Model
from gateway.core.service import Service
from gateway.flow.hosts import Hosts
from gateway.http.front import Front

Reading = tuple[Family, Labels, Value]


def of_front(front: Front) -> Iterator[Reading]:
    yield names.IN_FLIGHT, (), front.in_flight


def of_memory(cache: MemoryCache) -> Iterator[Reading]:
    """The exact cache's part in this process."""
    yield names.CACHE_ENTRIES, ("exact",), len(cache)
    yield names.CACHE_BYTES, ("exact",), cache.size_bytes


def of_providers(hosts: Mapping[str, Hosts], models: Iterable[Model]) -> Iterator[Reading]:
    """Their queues; and of local ones, how busy they are and what their hours cost. A host is paid for as long as the
    gateway is up: it cannot know more."""
    models = tuple(models)
    for name, provider in hosts.items():
        if (waiting := provider.in_queue()) is not None:
            yield names.QUEUE, (name,), waiting
        own = [model for model in models if model.provider == name and model.local]
        if own:
            yield names.LOCAL_BUSY, (name,), int(provider.busy_s() * BILLION)
        hours = [model.price.hour_usd for model in own if model.price.hour_usd is not None]
        if hours:
            yield names.LOCAL_HOUR, (name,), float(max(hours))
            yield names.LOCAL_UP, (name,), int(provider.up_s() * BILLION)
    for model in models:
        if model.local and model.price.free:
            yield names.LOCAL_FREE, (model.provider, model.name), 1


class Exposition:
    """What `/metrics` answers: of this process and its siblings, and what the ledger says of budgets at this moment."""

    def __init__(self, metrics: PrometheusMetrics, stand: Stand, siblings: Siblings) -> None:
        self._metrics = metrics
        self._stand = stand
        self._siblings = siblings

    async def text(self, services: Iterable[Service]) -> bytes:
        payers = {service.payer for service in services}
        others, budgets = await asyncio.gather(self._siblings.snapshots("metrics"), budget_gauges(self._stand, payers))
        return await asyncio.to_thread(self._metrics.render, others, budgets)

"""From settings to the domain: the models with their prices and what they accept. Services: `service_catalog`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.core.deadlines import Deadlines
from gateway.core.plan import Catalog, Model
from gateway.core.pricing import Price
from gateway.core.profile import Profile
from gateway.core.tiers import Tier
from gateway.model_price import written_price
from gateway.model_settings import ModelSettings
from gateway.settings import Loaded, Provider, Timeouts
from gateway.yaml_source import ConfigError, Problem

PriceBook = Callable[[str, str], Price | None]
"""Provider kind and upstream model name → list price, or None."""

EMBEDDED = "embedded"
"""The provider name of the gateway's own embedder."""

_OF_KIND: Mapping[str, Mapping[str, Any]] = {
    "deepseek": {"json_schema": "emulated", "parallel_tools": False},
    "llamacpp": {"forced_tools": "emulated"},
}
"""What is so for every model of a provider's kind unless its row says otherwise; the dialects say where it was seen."""


@dataclass(frozen=True, slots=True)
class Catalogs:
    """What can be asked for, by endpoint. `absent` is the same in both."""

    chat: Catalog
    embeddings: Catalog


def build_catalogs(loaded: Loaded, price_of: PriceBook) -> Catalogs:
    """Raises ConfigError for a model without a price: unpriced models cost $0 elsewhere, and no budget ever fires."""
    settings = loaded.settings
    problems = list(_own_name_taken(loaded))
    chat: list[Model] = []
    embeddings = list(_own_embedder(loaded))
    for name, model in settings.models.items():
        price = _price(loaded, name, model, price_of)
        if price is None:
            problems.append(_unpriced(loaded, name, model))
            continue
        row = _model(name, model, settings.providers[model.provider], price, settings.timeouts)
        (chat if model.mode == "chat" else embeddings).append(row)
    if problems:
        raise ConfigError(*problems)
    absent = {name: reason for name in settings.providers if (reason := loaded.absence(name))}
    return Catalogs(Catalog(tuple(chat), absent), Catalog(tuple(embeddings), absent))


def _own_embedder(loaded: Loaded) -> Iterator[Model]:
    embedder = loaded.settings.embedder
    if embedder.engine != "none":
        yield Model(embedder.model, EMBEDDED, embedder.model, Tier.LIGHT, local=True)


def _model(name: str, model: ModelSettings, provider: Provider, price: Price, timeouts: Timeouts) -> Model:
    upstream = model.upstream or (provider.model if provider.kind == "llamacpp" else None) or name
    window = model.context_tokens
    if window is None and provider.is_child:
        window = provider.context_tokens  # of our own child, whose slots we have sized ourselves
    return Model(
        name,
        model.provider,
        upstream,
        model.tier or Tier.LIGHT,
        price,
        _profile(model, provider, window),
        _deadlines(model, timeouts),
        model.routed,
        local=provider.kind == "llamacpp",
    )


def _profile(model: ModelSettings, provider: Provider, window: int | None) -> Profile:
    stated = {name: getattr(model, name) for name in model.stated}
    facts = {**_OF_KIND.get(provider.kind, {}), **stated, "context_tokens": window}
    return Profile(**facts, default_system=model.default_system)


def _deadlines(model: ModelSettings, timeouts: Timeouts) -> Deadlines | None:
    """None where the row sets none: those of its provider hold."""
    if model.timeouts is None:
        return None
    return Deadlines(**timeouts.model_dump() | model.timeouts.model_dump(exclude_none=True))


def _price(loaded: Loaded, name: str, model: ModelSettings, price_of: PriceBook) -> Price | None:
    """What is written wins over the list."""
    listed = price_of(loaded.settings.providers[model.provider].kind, model.upstream or name)
    if model.price is None:
        return listed
    today = datetime.now(UTC).date()
    return written_price(model.price, ("models", name, "price"), loaded.source, listed, today)


def _unpriced(loaded: Loaded, name: str, model: ModelSettings) -> Problem:
    return Problem(
        loaded.source.where(("models", name)),
        f"`models.{name}` has no price for today, and genai-prices does not know it for provider `{model.provider}`",
        "add `price: {input: …, output: …}` in US dollars per million tokens, or `price: free`",
    )


def _own_name_taken(loaded: Loaded) -> Iterator[Problem]:
    if EMBEDDED in loaded.settings.providers:
        where = loaded.source.where(("providers", EMBEDDED))
        yield Problem(where, f"`providers.{EMBEDDED}` is the gateway's own name", "call the provider something else")

"""Which models can take a request at all: what the service may use, and what a model can do, before any price."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest, Unavailable
from gateway.core.features import Features
from gateway.core.plan import Catalog, Model
from gateway.core.service import Service
from gateway.core.tool_choice import can_call


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request asks of a model. `prompt_tokens` is a likely figure."""

    chat: ChatRequest
    features: Features
    prompt_tokens: int

    @property
    def window_tokens(self) -> int:
        return self.prompt_tokens + (self.chat.max_tokens or 0)


@dataclass(frozen=True, slots=True)
class _Gate:
    """For requests of which `asks` is true. `lacks` says of a model that does not pass what it cannot do, `nobody` is
    the refusal when none passes, and `field` what it is about."""

    asks: Callable[[Features], int]
    passes: Callable[[Model, Needs], bool]
    lacks: str
    nobody: str
    field: str


_GATES = (
    _Gate(
        attrgetter("images"),
        lambda model, needs: model.profile.vision,
        "takes no images",
        "No available model accepts images; configure one with `vision: true`.",
        "messages",
    ),
    _Gate(
        attrgetter("tools"),
        lambda model, needs: can_call(needs.chat.body, model.profile),
        "calls no tools",
        "No available model accepts `tools`.",
        "tools",
    ),
)


def able(needs: Needs, service: Service, catalog: Catalog) -> list[Model]:
    """Never empty. What the service may use comes first. Raises Unavailable, or InvalidRequest when no model can."""
    models: Sequence[Model] = catalog.routed()
    if service.tiers is not None:
        models = [model for model in models if service.may_route_to(model.tier)]
    if not models:
        why = "; ".join(f"{name}: {reason}" for name, reason in catalog.absent.items()) or "none is configured"
        raise Unavailable(f"No model is available ({why}).")
    for gate in _asked(needs):
        models = [model for model in models if gate.passes(model, needs)]
        if not models:
            raise InvalidRequest(gate.nobody, param=gate.field)
    needed_tokens = needs.window_tokens
    fitting = [model for model in models if _fits(model, needed_tokens)]
    # If none seems to fit, the largest window is asked all the same: our count is an estimate, the provider's is not.
    return fitting or [max(models, key=lambda model: model.profile.context_tokens or 0)]


def in_the_way(model: Model, needs: Needs, service: Service, catalog: Catalog) -> Iterator[str]:
    """Everything that keeps `auto` from asking this model, in words."""
    if model.provider in catalog.absent:
        yield f"provider {model.provider} is absent: {catalog.absent[model.provider]}"
    if not model.routed:
        yield "only for who names it (routed: false)"
    if not service.may_route_to(model.tier):
        yield f"tier {model.tier} is not for service {service.name}"
    yield from (gate.lacks for gate in _asked(needs) if not gate.passes(model, needs))
    if not _fits(model, needs.window_tokens):
        yield f"window of {model.profile.context_tokens:,} tokens, {needs.window_tokens:,} are likely needed"


def _asked(needs: Needs) -> list[_Gate]:
    return [gate for gate in _GATES if gate.asks(needs.features)]


def _fits(model: Model, needed_tokens: int) -> bool:
    window = model.profile.context_tokens
    return window is None or needed_tokens <= window

"""Which models can take a request at all: what the service may use, and what a model can do, before any price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
    """`lacks` says of a model that does not pass what it cannot do, `nobody` is the refusal when none passes, and
    `field` what it is about."""

    passes: Callable[[Model, Needs], bool]
    lacks: str
    nobody: str
    field: str


_GATES = (
    _Gate(
        lambda model, needs: model.profile.vision or not needs.features.images,
        "takes no images",
        "No available model accepts images; configure one with `vision: true`.",
        "messages",
    ),
    _Gate(
        lambda model, needs: not needs.features.tools or can_call(needs.chat.body, model.profile),
        "calls no tools",
        "No available model accepts `tools`.",
        "tools",
    ),
)


def able(needs: Needs, service: Service, catalog: Catalog) -> list[Model]:
    """Never empty. What the service may use comes first. Raises Unavailable, or InvalidRequest when no model can."""
    models = [model for model in catalog.routed() if service.may_route_to(model.tier)]
    if not models:
        why = "; ".join(f"{name}: {reason}" for name, reason in catalog.absent.items()) or "none is configured"
        raise Unavailable(f"No model is available ({why}).")
    for gate in _GATES:
        models = [model for model in models if gate.passes(model, needs)]
        if not models:
            raise InvalidRequest(gate.nobody, param=gate.field)
    fitting = [model for model in models if _fits(model, needs)]
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
    yield from (gate.lacks for gate in _GATES if not gate.passes(model, needs))
    if not _fits(model, needs):
        yield f"window of {model.profile.context_tokens:,} tokens, {needs.window_tokens:,} are likely needed"


def _fits(model: Model, needs: Needs) -> bool:
    window = model.profile.context_tokens
    return window is None or needs.window_tokens <= window

"""From a request and a catalog to an ordered list of models to try, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.core.chat import ChatRequest
from gateway.core.deadlines import Deadlines
from gateway.core.errors import Forbidden, InvalidRequest, ModelNotFound, Unavailable
from gateway.core.estimate import output_limit, prompt_likely
from gateway.core.features import Features, features_of
from gateway.core.options import Options
from gateway.core.pricing import FREE, Price
from gateway.core.profile import Profile
from gateway.core.service import Service
from gateway.core.tiers import Classified, Tier, classify
from gateway.core.tool_choice import can_call
from gateway.core.usage import Usage

AUTO = "auto"
LIKELY_OUTPUT_TOKENS = 500
"""Of an answer, for comparing prices before there is one."""
ASKED_FOR = ("asked for",)
"""Why a tier that the client named is the tier."""


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the catalog. `name` is ours (what clients send, what metrics show); `upstream` is the provider's.
    `deadlines` None: those of its provider. Not `routed`: only who names it gets it, `auto` never does. `local`: on
    hardware of one's own, which no budget counts."""

    name: str
    provider: str
    upstream: str
    tier: Tier
    price: Price = FREE
    profile: Profile = field(default_factory=Profile)
    deadlines: Deadlines | None = None
    routed: bool = True
    local: bool = False

    @property
    def pinned_name(self) -> str:
        """The `provider/model` spelling."""
        return f"{self.provider}/{self.upstream}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """All the names by which a client or a configuration may mean this model."""
        return self.name, self.pinned_name, f"{self.provider}/{self.name}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every configured chat model, and why some of them cannot be used (provider name → reason)."""

    models: tuple[Model, ...]
    absent: Mapping[str, str] = field(default_factory=dict)

    def present(self) -> tuple[Model, ...]:
        return tuple(model for model in self.models if model.provider not in self.absent)

    def routed(self) -> tuple[Model, ...]:
        """What `auto` chooses from."""
        return tuple(model for model in self.present() if model.routed)

    def find(self, name: str) -> Model | None:
        """By catalog name, or by `provider/model` in either the catalog's or the provider's spelling."""
        for model in self.models:
            if name in model.spellings:
                return model
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """`resolved` goes into cache keys: the tier for `auto`, the model when pinned. `attempts` is never empty.

    `stand_ins` are the names of those that would cost less than the first and may answer in its place when a budget
    runs low: of what the router chose, never of a tier or model that was asked for.
    """

    attempts: tuple[Model, ...]
    resolved: str
    tier: Tier
    pinned: bool
    reasons: tuple[str, ...]
    stand_ins: frozenset[str] = frozenset()


def make_plan(chat: ChatRequest, options: Options, service: Service, catalog: Catalog, unix_s: float) -> Plan:
    """Raises ModelNotFound, Forbidden, Unavailable, or InvalidRequest when no model can take such a request.

    `unix_s` is when it was asked: the cheapest of one hour may not be that of the next."""
    alias, _, suffix = chat.model.partition(":")
    if alias == AUTO:
        return _routed(chat, options, service, catalog, suffix, unix_s)
    return _pinned(chat, service, catalog)


def _pinned(chat: ChatRequest, service: Service, catalog: Catalog) -> Plan:
    """An explicit model is a contract: never re-tiered, never swapped."""
    model = catalog.find(chat.model)
    if model is None:
        known = ", ".join([AUTO, *(model.name for model in catalog.present())])
        raise ModelNotFound(f"There is no model `{chat.model}`. Here are: {known}.", param="model")
    if not service.may_ask(*model.spellings):
        raise Forbidden(f"Service `{service.name}` may not use model `{chat.model}`.", param="model")
    if model.provider in catalog.absent:
        reason = catalog.absent[model.provider]
        raise ModelNotFound(f"Model `{chat.model}` needs provider `{model.provider}`: {reason}.", param="model")
    return Plan((model,), f"model:{model.name}", model.tier, pinned=True, reasons=("pinned",))


def _routed(
    chat: ChatRequest, options: Options, service: Service, catalog: Catalog, suffix: str, unix_s: float
) -> Plan:
    if not service.may_ask(AUTO, chat.model):
        raise Forbidden(f"Service `{service.name}` may not use `{chat.model}`.", param="model")
    features = features_of(chat)
    wanted = _open_to(service, _wanted(features, options, suffix), "model" if suffix else "thriftgate.tier")
    able = _able(chat, features, service, catalog)
    costs_usd = {model.name: _likely_cost_usd(chat, model, unix_s) for model in able}
    ordered = sorted(able, key=lambda model: (_distance(model.tier, wanted.tier), costs_usd[model.name], model.name))
    reasons = wanted.reasons
    if ordered[0].tier is not wanted.tier:
        reasons = (*reasons, f"no {wanted.tier} model available: {ordered[0].tier} instead")
    attempts = tuple(ordered) if options.fallback else (ordered[0],)
    cheaper = frozenset(model.name for model in attempts if costs_usd[model.name] < costs_usd[attempts[0].name])
    stand_ins = frozenset() if wanted.reasons == ASKED_FOR else cheaper
    return Plan(attempts, f"tier:{wanted.tier}", wanted.tier, pinned=False, reasons=reasons, stand_ins=stand_ins)


def _wanted(features: Features, options: Options, suffix: str) -> Classified:
    """An explicit tier, in the model name or in a header, wins over the classifier."""
    if suffix:
        if suffix not in tuple(Tier):
            raise ModelNotFound(
                f"`auto:{suffix}` is not a tier; write auto:light, auto:medium or auto:heavy.", param="model"
            )
        return Classified(Tier(suffix), ASKED_FOR)
    if options.tier is not None:
        return Classified(options.tier, ASKED_FOR)
    return classify(features)


def _open_to(service: Service, wanted: Classified, asked_in: str) -> Classified:
    """The nearest tier that the service may use; one that is asked for, in that field, is a contract here too.

    Decided before anything has a cache key: services that share answers share them within a tier."""
    if service.tiers is None or service.may_route_to(wanted.tier):
        return wanted
    if wanted.reasons == ASKED_FOR:
        open_tiers = ", ".join(tier for tier in Tier if tier in service.tiers)
        words = f"Service `{service.name}` may not use tier `{wanted.tier}`; it may use {open_tiers}."
        raise Forbidden(words, param=asked_in)
    nearest = min(service.tiers, key=lambda tier: _distance(tier, wanted.tier))
    return Classified(nearest, (*wanted.reasons, f"{wanted.tier} is not for this service: {nearest} instead"))


def _able(chat: ChatRequest, features: Features, service: Service, catalog: Catalog) -> list[Model]:
    """What the service may use comes before what a model can, and that before its price."""
    present = [model for model in catalog.routed() if service.may_route_to(model.tier)]
    if not present:
        why = "; ".join(f"{name}: {reason}" for name, reason in catalog.absent.items()) or "none is configured"
        raise Unavailable(f"No model is available ({why}).")
    able = [model for model in present if model.profile.vision or not features.images]
    if not able:
        raise InvalidRequest("No available model accepts images; configure one with `vision: true`.", param="messages")
    able = [model for model in able if can_call(chat.body, model.profile)]
    if not able:
        raise InvalidRequest("No available model accepts `tools`.", param="tools")
    fitting = [model for model in able if _fits(chat, model)]
    # If none seems to fit, the largest window is asked all the same: our count is an estimate, the provider's is not.
    return fitting or [max(able, key=lambda model: model.profile.context_tokens or 0)]


def _fits(chat: ChatRequest, model: Model) -> bool:
    window = model.profile.context_tokens
    return window is None or prompt_likely(chat) + (chat.max_tokens or 0) <= window


def _distance(tier: Tier, wanted: Tier) -> int:
    """The wanted tier first, then upwards (quality is kept), then downwards."""
    distance = tier.rank - wanted.rank
    return distance if distance >= 0 else 10 - distance


def _likely_cost_usd(chat: ChatRequest, model: Model, unix_s: float) -> Decimal:
    """At the hour's price."""
    likely = Usage(prompt_likely(chat), min(output_limit(chat, model.profile), LIKELY_OUTPUT_TOKENS))
    return model.price.cost(likely, unix_s)

"""From a request and a catalog to a plan: which tier, which models can, in which order, and why.

Theory of operation. A name is a contract: a model that is asked for by name is never swapped, and a tier that is asked
for is that tier. `auto` alone is open. What a service may use and what a model can do come first (`ability`), then the
service's policy says which tier will do (`policy`), then price decides: by rules among the models of that tier, under a
quality target among all that will do. What the router adds to a price is the waiting (`Known.latency_s`). A budget has
no say here: only the ledger knows what is left of it, at the moment of the hold, and what it refuses steps down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.ability import Needs, able
from gateway.core.chat import ChatRequest
from gateway.core.conversation import Turn
from gateway.core.errors import Forbidden, ModelNotFound
from gateway.core.estimate import output_limit, prompt_likely
from gateway.core.features import Features, features_of
from gateway.core.options import Options
from gateway.core.plan import AUTO, Catalog, Model, Plan
from gateway.core.policy import UNJUDGED, Judged, wanted_tier
from gateway.core.service import Service
from gateway.core.tiers import Classified, Classify, Tier, classify
from gateway.core.usage import Usage
from gateway.core.warmth import Warm, stay_or_leave

LIKELY_OUTPUT_TOKENS = 500
"""Of an answer, for comparing prices before there is one."""
ASKED_FOR = ("asked for",)
"""Why a tier that the client named is the tier."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the request, all of it optional: its features, if they have been worked out already, how it
    was judged, how long each model takes to begin (by name, in seconds), which turn of its conversation it is, where
    the prefix of that is cached, and what names a tier by the features (rules, unless something was learned)."""

    features: Features | None = None
    judged: Judged = UNJUDGED
    latency_s: Mapping[str, float] = field(default_factory=dict)
    turn: Turn | None = None
    warm: Warm | None = None
    classify: Classify = classify


NOTHING = Known()


def make_plan(
    chat: ChatRequest, options: Options, service: Service, catalog: Catalog, unix_s: float, known: Known = NOTHING
) -> Plan:
    """Raises ModelNotFound, Forbidden, Unavailable, or InvalidRequest when no model can take such a request.

    `unix_s` is when it was asked: the cheapest of one hour may not be that of the next."""
    alias, _, suffix = chat.model.partition(":")
    if alias != AUTO:
        return _pinned(chat, service, catalog)
    if not service.may_ask(AUTO, chat.model):
        raise Forbidden(f"Service `{service.name}` may not use `{chat.model}`.", param="model")
    return _Routing(chat, service, unix_s, known).plan(options, catalog, suffix)


def is_open(chat: ChatRequest, options: Options) -> bool:
    """Whether it is left to the router which tier answers."""
    return chat.model == AUTO and options.tier is None


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


class _Routing:
    """One request for `auto`."""

    def __init__(self, chat: ChatRequest, service: Service, unix_s: float, known: Known) -> None:
        self._chat = chat
        self._service = service
        self._policy = service.policy
        self._unix_s = unix_s
        self._known = known
        self._features = known.features or features_of(chat)
        self._prompt_tokens = prompt_likely(chat)

    def plan(self, options: Options, catalog: Catalog, suffix: str) -> Plan:
        asked = _asked_for(self._service, options, suffix)
        models = able(Needs(self._chat, self._features, self._prompt_tokens), self._service, catalog)
        wanted = asked or self._wanted(models)
        costs_usd = {model.name: self._expected_usd(model) for model in models}
        ordered, reasons = self._ordered(models, wanted, costs_usd, contract=asked is not None)
        attempts = ordered if options.fallback else ordered[:1]
        cheaper = frozenset(model.name for model in attempts if costs_usd[model.name] < costs_usd[attempts[0].name])
        stand_ins = frozenset() if asked else cheaper
        reviewed = asked is None and wanted.tier is not Tier.HEAVY and self._service.review.covers(self._chat)
        # Answers that were looked at have keys of their own: others must not be found in their place.
        return Plan(
            attempts,
            f"tier:{wanted.tier}:reviewed" if reviewed else f"tier:{wanted.tier}",
            wanted.tier,
            pinned=False,
            reasons=reasons,
            stand_ins=stand_ins,
            turn=self._known.turn,
            reviewed=reviewed,
        )

    def _wanted(self, models: Sequence[Model]) -> Classified:
        tiers = {model.tier for model in models}
        wanted = wanted_tier(self._known.classify, self._features, self._known.judged, self._policy, tiers)
        return _open_to(self._service, wanted)

    def _ordered(
        self, models: Sequence[Model], wanted: Classified, costs_usd: Mapping[str, float], *, contract: bool
    ) -> tuple[tuple[Model, ...], tuple[str, ...]]:
        """Under a quality target all tiers from the wanted one on will do alike, so the cheapest of them is first."""
        alike = bool(self._policy.bounds) and not contract

        second_usd, latency_s = self._policy.value_of_second_usd, self._known.latency_s

        def place(model: Model) -> tuple[int, float, str]:
            distance = _distance(model.tier, wanted.tier)
            usd = costs_usd[model.name] + second_usd * latency_s.get(model.name, 0.0)
            return 0 if alike and distance < _DOWN else distance, usd, model.name

        ordered, reasons = tuple(sorted(models, key=place)), wanted.reasons
        if wanted.tier not in [model.tier for model in models]:
            reasons = (*reasons, f"no {wanted.tier} model available: {ordered[0].tier} instead")
        warm = self._known.warm
        if warm is None:
            return ordered, reasons
        may_stay = self._may_stay(models, wanted.tier, contract)
        ordered, why = stay_or_leave(ordered, may_stay, warm, self._likely(ordered[0]), self._unix_s)
        return ordered, (*reasons, why)

    def _may_stay(self, models: Sequence[Model], wanted: Tier, contract: bool) -> bool:
        """Whether the model where the prefix is cached is of the tier that was asked for, or at least of one that will
        do."""
        warm = self._known.warm
        here = next((model.tier for model in models if warm and model.name == warm.model), None)
        return here is not None and (here is wanted if contract else here.rank >= wanted.rank)

    def _likely(self, model: Model) -> Usage:
        return Usage(self._prompt_tokens, self._output_tokens(model))

    def _output_tokens(self, model: Model) -> int:
        return min(output_limit(self._chat, model.profile), LIKELY_OUTPUT_TOKENS)

    def _expected_usd(self, model: Model) -> float:
        """At the hour's price."""
        return model.price.about_usd(self._prompt_tokens, self._output_tokens(model), self._unix_s)


def _asked_for(service: Service, options: Options, suffix: str) -> Classified | None:
    """An explicit tier, in the model name or in a header: it wins over everything, and is a contract."""
    if suffix:
        if suffix not in tuple(Tier):
            raise ModelNotFound(
                f"`auto:{suffix}` is not a tier; write auto:light, auto:medium or auto:heavy.", param="model"
            )
        return _allowed(service, Tier(suffix), "model")
    return None if options.tier is None else _allowed(service, options.tier, "thriftgate.tier")


def _allowed(service: Service, tier: Tier, asked_in: str) -> Classified:
    if not service.may_route_to(tier):
        open_tiers = ", ".join(tier for tier in Tier if service.may_route_to(tier))
        words = f"Service `{service.name}` may not use tier `{tier}`; it may use {open_tiers}."
        raise Forbidden(words, param=asked_in)
    return Classified(tier, ASKED_FOR)


def _open_to(service: Service, wanted: Classified) -> Classified:
    """The nearest tier that the service may use.

    Decided before anything has a cache key: services that share answers share them within a tier."""
    if service.tiers is None or service.may_route_to(wanted.tier):
        return wanted
    nearest = min(service.tiers, key=lambda tier: _distance(tier, wanted.tier))
    return Classified(nearest, (*wanted.reasons, f"{wanted.tier} is not for this service: {nearest} instead"))


_DOWN = 10


def _distance(tier: Tier, wanted: Tier) -> int:
    """The wanted tier first, then upwards (quality is kept), then downwards."""
    distance = tier.rank - wanted.rank
    return distance if distance >= 0 else _DOWN - distance

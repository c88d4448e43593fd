"""A plan with everything behind it, for people who ask why: `thriftgate explain` and `POST /v1/thriftgate/explain`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gateway.core.ability import Needs, in_the_way
from gateway.core.chat import ChatRequest
from gateway.core.estimate import output_limit, prompt_likely
from gateway.core.features import Features
from gateway.core.forecast import Forecast
from gateway.core.plan import Catalog, Model, Plan
from gateway.core.planning import LIKELY_OUTPUT_TOKENS, Known
from gateway.core.policy import Policy, is_trusted
from gateway.core.service import Service
from gateway.core.usage import Usage


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model as the plan saw it. `place` is 1 for the one asked first, None for one that is not asked; `in_the_way`
    says why. `expected_usd` is for this request at the price of now, without any cache."""

    model: Model
    place: int | None
    expected_usd: Decimal
    latency_s: float
    in_the_way: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`forecast` is told whatever the policy is; `decides` says whether the policy goes by it for this prompt."""

    plan: Plan
    service: str
    policy: Policy
    forecast: Forecast | None
    decides: bool
    candidates: tuple[Candidate, ...]
    prompt_tokens: int

    def as_json(self) -> dict[str, Any]:
        """Money in decimal strings."""
        plan = self.plan
        return {
            "object": "thriftgate.explanation",
            "service": self.service,
            "tier": plan.tier,
            "pinned": plan.pinned,
            "reviewed": plan.reviewed,
            "reasons": list(plan.reasons),
            "policy": _policy_json(self.policy),
            "forecast": None if self.forecast is None else _forecast_json(self.forecast, decides=self.decides),
            "candidates": [_candidate_json(candidate) for candidate in self.candidates],
            "assumed": {"prompt_tokens": self.prompt_tokens, "most_output_tokens": LIKELY_OUTPUT_TOKENS},
        }


def explained(
    plan: Plan,
    chat: ChatRequest,
    features: Features,
    forecast: Forecast | None,
    known: Known,
    service: Service,
    catalog: Catalog,
    unix_s: float,
) -> Explanation:
    """`forecast` has reasons; `known` is what the plan was made of, with all latencies."""
    needs = Needs(chat, features, prompt_likely(chat))
    candidates = sorted(_candidates(plan, needs, known, service, catalog, unix_s), key=_order)
    decides = known.judged.forecast is not None and (
        known.judged.place is not None
        if service.policy.shares is not None
        else is_trusted(features, known.judged.forecast)
    )
    return Explanation(plan, service.name, service.policy, forecast, decides, tuple(candidates), needs.prompt_tokens)


def _candidates(
    plan: Plan, needs: Needs, known: Known, service: Service, catalog: Catalog, unix_s: float
) -> Iterator[Candidate]:
    for model in catalog.models:
        place = plan.attempts.index(model) + 1 if model in plan.attempts else None
        output = min(output_limit(needs.chat, model.profile), LIKELY_OUTPUT_TOKENS)
        usd = model.price.cost(Usage(needs.prompt_tokens, output), unix_s)
        why = () if place else tuple(in_the_way(model, needs, service, catalog)) or ("not asked for",)
        yield Candidate(model, place, usd, known.latency_s.get(model.name, 0.0), why)


def _order(candidate: Candidate) -> tuple[float, str]:
    return candidate.place or math.inf, candidate.model.name


def _policy_json(policy: Policy) -> dict[str, Any]:
    kind = "quality_target" if policy.quality_target is not None else "shares" if policy.shares else "rules"
    shares = policy.shares
    return {
        "kind": kind,
        "version": policy.version,
        "quality_target": policy.quality_target,
        "shares": None if shares is None else {"light": shares.light, "medium": shares.medium},
        "value_of_second_usd": policy.value_of_second_usd,
    }


def _forecast_json(forecast: Forecast, *, decides: bool) -> dict[str, Any]:
    return {
        "expected_gain": round(forecast.gain, 4),
        "light_will_do": round(forecast.probability, 4),
        "trust": round(forecast.trust, 4),
        "decides": decides,
        "reasons": list(forecast.reasons),
    }


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    model = candidate.model
    return {
        "place": candidate.place,
        "model": model.name,
        "provider": model.provider,
        "tier": model.tier,
        "expected_usd": f"{candidate.expected_usd:.9f}",
        "latency_s": round(candidate.latency_s, 3),
        "in_the_way": list(candidate.in_the_way),
    }

"""One request on its way through the gateway, and the trail it leaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest, ThriftgateError, UpstreamError
from gateway.core.events import CacheVerdict, Endpoint, Outcome, RequestFinished
from gateway.core.options import Options
from gateway.core.plan import Model, Plan
from gateway.core.savings import Saving, saving
from gateway.core.service import Service
from gateway.core.usage import Usage
from gateway.ports import Standing


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed and authenticated request. `started_s` is monotonic, `asked_at_s` is Unix time (prices depend on it).
    `endpoint` is where it came in; `dropped` are the hints of that API which nothing here can take."""

    id: str
    service: Service
    chat: ChatRequest
    options: Options
    started_s: float
    asked_at_s: float
    endpoint: Endpoint = "chat"
    dropped: tuple[str, ...] = ()


@dataclass(slots=True)
class Trail:
    """What has happened to a call so far. The walk writes it, the answer's headers and the one event read it.

    `usage` and `cost_usd` are all that was charged, failed attempts included; `answered` is the answer's own usage,
    which savings are computed from. `mechanism` is what could have saved something, None for a pinned model's answer.
    `standings` are the budgets' at the last hold; `stepped_down` is the code of the refusal after which only what costs
    less was asked, "" when no budget refused. `asked` is how often each host was asked, by its id, and `passed_over`
    says which models were not, and why.
    """

    call: Call
    plan: Plan | None = None
    cache: CacheVerdict = "miss"
    similarity: float | None = None
    cache_reason: str = ""
    cache_key: str = ""
    cache_age_s: float = 0.0
    model: Model | None = None
    attempts: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    passed_over: list[str] = field(default_factory=list)
    dropped: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal = Decimal(0)
    answered: Usage = field(default_factory=Usage)
    mechanism: str | None = None
    standings: tuple[Standing, ...] = ()
    stepped_down: str = ""
    baselines: tuple[Model, ...] = ()
    first_chunk_s: float | None = None
    outcome: Outcome = "ok"
    error: ThriftgateError | None = None

    def charged(self, usage: Usage, cost_usd: Decimal) -> None:
        self.usage += usage
        self.cost_usd += cost_usd

    def route_reasons(self) -> tuple[str, ...]:
        """Why this model answers."""
        reasons = (*(self.plan.reasons if self.plan else ()), *self.passed_over)
        return (*reasons, f"stepped down: {self.stepped_down}") if self.stepped_down else reasons

    def saving(self) -> Saving:
        return saving(self.answered, self.cost_usd, self.baselines, self.mechanism, self.call.asked_at_s)

    def failed(self, error: BaseException) -> None:
        """Any end but the good one: a failure of ours, the client leaving, or a bug."""
        self.error = error if isinstance(error, ThriftgateError) else None
        self.outcome = outcome_of(error)

    def finished(self, now_s: float) -> RequestFinished:
        """The wide event; `now_s` is monotonic."""
        tier = self.plan.tier if self.plan else None
        saved = self.saving()
        return RequestFinished(
            request_id=self.call.id,
            endpoint=self.call.endpoint,
            service=self.call.service.name,
            outcome=self.outcome,
            status=status_of(self.error, self.outcome),
            stream=self.call.chat.stream,
            tier=tier,
            model=self.model.name if self.model else None,
            provider=self.model.provider if self.model else None,
            cache=self.cache,
            attempts=self.attempts,
            usage=self.usage,
            cost_usd=self.cost_usd,
            saved_usd=saved.usd,
            saved_by=saved.by,
            duration_s=now_s - self.call.started_s,
            first_token_s=self.first_chunk_s,
            error_code=(self.error.code or self.error.type) if self.error else None,
            reasons=(*self.route_reasons(), *filter(None, (self.cache_reason,))),
        )


def turned_away(
    id: str, endpoint: Endpoint, service: Service, refusal: ThriftgateError, duration_s: float
) -> RequestFinished:
    """The wide event of a request that was refused before it was read."""
    return RequestFinished(
        request_id=id,
        endpoint=endpoint,
        service=service.name,
        outcome=outcome_of(refusal),
        status=refusal.status,
        stream=False,
        tier=None,
        model=None,
        provider=None,
        cache="bypass",
        attempts=0,
        usage=Usage(),
        cost_usd=Decimal(0),
        saved_usd=Decimal(0),
        saved_by=None,
        duration_s=duration_s,
        first_token_s=None,
        error_code=refusal.code or refusal.type,
    )


_STATUS = {"client_disconnect": 499, "internal_error": 500}
"""Of outcomes without an error of ours; 499 is nginx's word for a client that left."""


def status_of(error: ThriftgateError | None, outcome: Outcome) -> int:
    """The HTTP status that the event tells."""
    return error.status if error else _STATUS.get(outcome, 200)


def outcome_of(error: BaseException) -> Outcome:
    """Whose doing a failure was, as the event tells it."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "client_disconnect"
    if not isinstance(error, ThriftgateError):
        return "internal_error"
    if isinstance(error, UpstreamError):
        return "upstream_error"
    return "client_error" if isinstance(error, InvalidRequest) else "refused"

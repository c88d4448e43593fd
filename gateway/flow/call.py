"""One request on its way through the gateway, and the trail it leaves."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

from gateway.core.chat import ChatRequest
from gateway.core.errors import InvalidRequest, ThriftgateError, UpstreamError
from gateway.core.events import CacheVerdict, Endpoint, Outcome, RequestFinished
from gateway.core.frozen import value
from gateway.core.options import Options
from gateway.core.plan import Model, Plan
from gateway.core.review import Reviewed
from gateway.core.savings import Account, Cause, OverheadKind, Paid, account_of
from gateway.core.service import Service
from gateway.core.trace_context import TraceParent
from gateway.core.usage import NO_TOKENS, Usage
from gateway.flow.baselines import NOT_COMPARED, Compared
from gateway.flow.visit import Asked
from gateway.ports import Standing


@value(frozen=True, slots=True)
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
    trace_parent: TraceParent | None = None


@dataclass(slots=True)
class Trail:
    """What has happened to a call so far. The walk writes it, the answer's headers and the one event read it.

    `usage` and `cost_nano_usd` are all that was charged, failed attempts included; `answered` and `answer_nano_usd` are
    the answer's own, which savings are computed from, and `thrown_away_nano_usd` what answers cost that a better one
    replaced.
    `cause` is why nothing was paid for it, None when a model was asked. `compared` is what it is compared with.
    `standings` are the budgets' at the last hold; `stepped_down` is the code of the refusal after which only what costs
    less was asked, "" when no budget refused. `asked` is how often each host was asked, by its id, and `passed_over`
    says which models were not, and why. `review` is None where the answer was not looked at.
    `ends_at_s` is on the loop's clock: when the client's own time is over, None where it named none.
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
    asked: Asked = field(default_factory=partial(defaultdict, int))
    passed_over: list[str] = field(default_factory=list)
    dropped: tuple[str, ...] = ()
    usage: Usage = NO_TOKENS
    cost_nano_usd: int = 0
    answered: Usage = NO_TOKENS
    answer_nano_usd: int = 0
    thrown_away_nano_usd: int = 0
    cause: Cause | None = None
    standings: tuple[Standing, ...] = ()
    stepped_down: str = ""
    review: Reviewed | None = None
    compared: Compared = NOT_COMPARED
    first_chunk_s: float | None = None
    ends_at_s: float | None = None
    outcome: Outcome = "ok"
    error: ThriftgateError | None = None
    _account: tuple[object, Account] | None = None

    def charged(self, usage: Usage, nano_usd: int, *, answer: bool) -> None:
        """A flight has landed. `answer`: it gave one, which is the request's unless another follows."""
        self.usage = usage if self.usage is NO_TOKENS else self.usage + usage
        self.cost_nano_usd += nano_usd
        if answer:
            self.thrown_away_nano_usd += self.answer_nano_usd
            self.answered, self.answer_nano_usd = usage, nano_usd

    def route_reasons(self) -> tuple[str, ...]:
        """Why this model answers."""
        reasons = self.plan.reasons if self.plan else ()
        if self.passed_over:
            reasons = (*reasons, *self.passed_over)
        return (*reasons, f"stepped down: {self.stepped_down}") if self.stepped_down else reasons

    def account(self) -> Account:
        """Against the baseline, once all that will be charged has been. Asked twice, for headers and for the event."""
        known = (self.answered, self.answer_nano_usd, self.cost_nano_usd, self.cause, self.model, self.compared)
        if self._account is not None and self._account[0] == known:
            return self._account[1]
        beside: dict[OverheadKind, int] = {}
        if self.cost_nano_usd != self.answer_nano_usd:
            beside["escalation"] = self.thrown_away_nano_usd
            beside["failed_attempt"] = self.cost_nano_usd - self.answer_nano_usd - self.thrown_away_nano_usd
        asked = self.model if self.cause is None else None
        paid = Paid(self.answered, asked, self.answer_nano_usd, self.cause, beside)
        account = account_of(paid, self.compared.baseline, self.call.asked_at_s)
        self._account = known, account
        return account

    def _last_month_nano_usd(self, model: Model, account: Account) -> int:
        """What the model that the service used most would have cost for the same tokens."""
        if model is self.compared.baseline:
            return account.baseline_nano_usd
        return model.price.charge(self.answered, self.call.asked_at_s)

    def failed(self, error: BaseException) -> None:
        """Any end but the good one: a failure of ours, the client leaving, or a bug."""
        self.error = error if isinstance(error, ThriftgateError) else None
        self.outcome = outcome_of(error)

    def finished(self, now_s: float) -> RequestFinished:
        """The wide event; `now_s` is monotonic."""
        account, last_month = self.account(), self.compared.last_month
        reasons = self.route_reasons()
        return RequestFinished(
            request_id=self.call.id,
            endpoint=self.call.endpoint,
            service=self.call.service.name,
            outcome=self.outcome,
            status=200 if self.outcome == "ok" else status_of(self.error, self.outcome),
            stream=self.call.chat.stream,
            tier=self.plan.tier if self.plan else None,
            model=self.model.name if self.model else None,
            provider=self.model.provider if self.model else None,
            cache=self.cache,
            attempts=self.attempts,
            usage=self.usage,
            cost_nano_usd=self.cost_nano_usd,
            saved_nano_usd=account.net_nano_usd,
            saved_by=account.chief_cause,
            duration_s=now_s - self.call.started_s,
            first_token_s=self.first_chunk_s,
            error_code=(self.error.code or self.error.type) if self.error else None,
            reasons=(*reasons, self.cache_reason) if self.cache_reason else reasons,
            baseline=account.baseline,
            baseline_nano_usd=account.baseline_nano_usd,
            savings=account.savings,
            overheads=account.overheads,
            last_month=last_month.name if last_month else None,
            last_month_nano_usd=self._last_month_nano_usd(last_month, account) if last_month else 0,
            trace_parent=self.call.trace_parent,
            review="" if self.review is None else str(self.review),
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
        cost_nano_usd=0,
        saved_nano_usd=0,
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
